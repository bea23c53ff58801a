"""Makes JSON Web Tokens and their keys with jwcrypto, for tests.

Prints a JSON object: `keys`, by name, as files that a server has; `tokens`, by
name. Takes the time, in seconds since 1970, as its argument.
"""

import json
import sys

from jwcrypto import jwe, jwk, jwt

now = int(sys.argv[1])
claims = {"host": "10.0.0.1", "port": 5901, "exp": now + 600}

rsa = jwk.JWK.generate(kty="RSA", size=2048, kid="rsa")
next_rsa = jwk.JWK.generate(kty="RSA", size=2048, kid="next")
ec = jwk.JWK.generate(kty="EC", crv="P-256", kid="ec")
ed = jwk.JWK.generate(kty="OKP", crv="Ed25519", kid="ed")
secret = jwk.JWK.generate(kty="oct", size=512)
shared = json.loads(secret.export())["k"]


def pem(key, private=False):
    return key.export_to_pem(private_key=private, password=None).decode()


def signed(key, alg, what=claims, **header):
    token = jwt.JWT(header={"alg": alg, **header}, claims=what)
    token.make_signed_token(key)
    return token.serialize()


def encrypted(key, alg, what, **header):
    header = {"alg": alg, "enc": "A256CBC-HS512", **header}
    token = jwt.JWT(header=header, claims=what)
    token.make_encrypted_token(key)
    return token.serialize()


def unsigned(what):
    def part(value):
        return jwe.base64url_encode(json.dumps(value))

    return part({"alg": "none", "typ": "JWT"}) + "." + part(what) + "."


def jwks(*keys):
    return json.dumps({"keys": [json.loads(key.export_public()) for key in keys]})


# The text of the public key, as one would take it for a shared secret.
confused = jwk.JWK(kty="oct", k=jwe.base64url_encode(pem(rsa)))

json.dump(
    {
        "keys": {
            "rsa": pem(rsa),
            "rsa private": pem(rsa, True),
            "ec": pem(ec),
            "ed": pem(ed),
            "secret": shared + "\n",
            "jwks": jwks(rsa, ec),
            "jwks next": jwks(next_rsa, ec),
        },
        "tokens": {
            "HS256": signed(secret, "HS256"),
            "RS256": signed(rsa, "RS256"),
            "RS256 kid": signed(rsa, "RS256", kid="rsa"),
            "next": signed(next_rsa, "RS256", kid="next"),
            "ES256": signed(ec, "ES256"),
            "EdDSA": signed(ed, "EdDSA"),
            "nested": encrypted(rsa, "RSA-OAEP", signed(rsa, "RS256")),
            "encrypted": encrypted(secret, "dir", claims),
            "encrypted alone": encrypted(rsa, "RSA-OAEP", claims),
            "none": unsigned(claims),
            "none in disguise": signed(rsa, "RS256").rsplit(".", 1)[0] + ".",
            "confused": signed(confused, "HS256"),
            "wrong key": signed(next_rsa, "RS256"),
            "expired": signed(rsa, "RS256", {**claims, "exp": now - 1}),
            "early": signed(rsa, "RS256", {**claims, "nbf": now + 300}),
            "endless": signed(rsa, "RS256", {"host": "10.0.0.1", "port": "5901"}),
            "issued": signed(
                rsa, "RS256", {**claims, "iss": "desks", "aud": ["a", "b"], "sub": "ada"}
            ),
            "peer": signed(
                rsa,
                "RS256",
                {"peer": "tls://db.test:5432", "address": {"street": "x"}, "exp": now + 599},
            ),
            "custom": signed(
                rsa, "RS256", {"https://desks.test/": "10.0.0.9:1", "exp": now + 599}
            ),
            "nameless": signed(rsa, "RS256", {"exp": now + 600}),
            "evil": signed(
                rsa, "RS256", {"host": "10.0.0.1@evil.test", "port": 1, "exp": now + 599}
            ),
        },
    },
    sys.stdout,
)
