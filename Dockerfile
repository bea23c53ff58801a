# websocksy in an image with nothing else: see docs/install.md.

# The program for one architecture is compiled on any other.
FROM --platform=$BUILDPLATFORM denoland/deno:2.9.6 AS build
WORKDIR /build
COPY deno.json deno.lock main.ts ./
COPY backends backends
COPY core core
COPY fallback fallback
COPY framing framing
COPY tools tools
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) target=x86_64-unknown-linux-gnu ;; \
      arm64) target=aarch64-unknown-linux-gnu ;; \
      *) target=$(deno eval 'console.log(Deno.build.target)') ;; \
    esac && \
    deno task compile --target "$target" --output websocksy

# The C library that Deno needs, and no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/websocksy /usr/local/bin/websocksy
USER 65532:65532
EXPOSE 8001
# There is no HEALTHCHECK, as the image has no program to make a request with:
# let whatever runs it ask the path that the option "health" names.
ENTRYPOINT ["/usr/local/bin/websocksy"]
CMD ["/etc/websocksy/config.ini"]
