/**
 * Certificates for tests: signed by an authority of their own, or by
 * themselves. They are made by OpenSSL.
 *
 * @module
 */

import { join } from "node:path";

/** A certificate and its key. */
export interface KeyPair {
  /** The certificate, PEM. */
  readonly cert: string;
  /** The key, PEM. */
  readonly key: string;
  /** `sha256/` and base64. */
  readonly fingerprint: string;
  /** `sha256/` and what `openssl x509 -fingerprint` prints. */
  readonly hexFingerprint: string;
}

/** What a certificate is made with. */
export interface SignOptions {
  /** Whether it was valid yesterday, and is not today. */
  readonly isExpired?: boolean;
}

/** An authority in a temporary directory. */
export interface Authority extends AsyncDisposable {
  /** Its certificate, PEM. */
  readonly cert: string;
  /** Signs a certificate for a name. */
  sign(name: string, options?: SignOptions): Promise<KeyPair>;
  /** Makes a certificate that has signed itself, and may sign others, as `openssl req -x509` does. */
  signItself(name: string, options?: SignOptions): Promise<KeyPair>;
  /** Makes a certificate of version 1, without extensions, that has signed itself; or signs it. */
  signVersion1(name: string, signs?: "itself" | "signed"): Promise<KeyPair>;
}

const newKey = [
  ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
];

/** Makes an authority. */
export async function createAuthority(): Promise<Authority> {
  const directory = await Deno.makeTempDir();
  let count = 0;

  async function openssl(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("openssl", {
      args,
      cwd: directory,
      stdin: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  }

  async function toPair(name: string): Promise<KeyPair> {
    const print = await openssl(
      ...["x509", "-in", `${name}.pem`, "-noout", "-fingerprint", "-sha256"],
    );
    const hex = print.trim().split("=")[1]!;
    const bytes = hex.split(":").map((pair) => parseInt(pair, 16));
    return {
      cert: await Deno.readTextFile(join(directory, `${name}.pem`)),
      key: await Deno.readTextFile(join(directory, `${name}.key`)),
      fingerprint: `sha256/${btoa(String.fromCharCode(...bytes))}`,
      hexFingerprint: `sha256/${hex}`,
    };
  }

  async function request(name: string): Promise<string> {
    const file = `${++count}`;
    await openssl(
      ...["req", "-new", ...newKey, "-subj", `/CN=${name}`],
      ...["-keyout", `${file}.key`, "-out", `${file}.csr`],
    );
    return file;
  }

  async function makeWith(
    name: string,
    extensions: string,
    signer: (file: string) => readonly string[],
    { isExpired = false }: SignOptions,
  ): Promise<KeyPair> {
    const file = await request(name);
    await Deno.writeTextFile(join(directory, `${file}.ext`), extensions);
    await openssl(
      ...["x509", "-req", "-in", `${file}.csr`, ...signer(file)],
      ...["-extfile", `${file}.ext`, "-out", `${file}.pem`],
      ...["-days", isExpired ? "-1" : "2"],
    );
    return await toPair(file);
  }

  await openssl(
    ...["req", "-x509", ...newKey, "-days", "2", "-subj", "/CN=Test authority"],
    ...["-keyout", "ca.key", "-out", "ca.pem"],
  );
  return {
    cert: await Deno.readTextFile(join(directory, "ca.pem")),
    sign(name, options = {}): Promise<KeyPair> {
      const extensions =
        `subjectAltName=DNS:${name}\nbasicConstraints=CA:FALSE`;
      const signer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      return makeWith(name, extensions, () => signer, options);
    },
    signItself(name, options = {}): Promise<KeyPair> {
      const extensions = `subjectAltName=DNS:${name}\nbasicConstraints=CA:TRUE`;
      return makeWith(
        name,
        extensions,
        (file) => ["-signkey", `${file}.key`],
        options,
      );
    },
    async signVersion1(name, signs = "itself"): Promise<KeyPair> {
      const file = await request(name);
      const signer = signs === "itself"
        ? ["-signkey", `${file}.key`]
        : ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
      await openssl(
        ...["x509", "-req", "-in", `${file}.csr`, ...signer],
        ...["-out", `${file}.pem`, "-days", "2"],
      );
      return await toPair(file);
    },
    [Symbol.asyncDispose]: (): Promise<void> =>
      Deno.remove(directory, { recursive: true }),
  };
}
