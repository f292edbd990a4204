# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src

# The modules are a layer of their own, which a change of our code leaves alone.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/identwatch ./cmd/identwatch

# Static, without a shell: CA certificates, time zones and a user, and nothing else.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="identwatch" \
      org.opencontainers.image.description="Follows MarkSign identification sessions and posts their results to a webhook" \
      org.opencontainers.image.source="https://github.com/identwatch/identwatch" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /out/identwatch /identwatch

# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/identwatch", "health"]
ENTRYPOINT ["/identwatch"]
CMD ["serve"]
