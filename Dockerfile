# Sendoff in a container: docker build -t sendoff . && docker run -p 5180:5180 -v sendoff-data:/data sendoff
# The sign-in link is in the container's log. Data: /data. Settings: SENDOFF_… (docs/operating.md).

# The Node.js that workers run on, of the version that the source pins. The build uses its npm.
FROM node:24.21.0-bookworm-slim AS node

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /source
COPY global.json Directory.Build.props Directory.Packages.props BannedSymbols.txt .editorconfig ./
COPY src/Sendoff.Engine/Sendoff.Engine.csproj src/Sendoff.Engine/packages.lock.json src/Sendoff.Engine/
COPY src/Sendoff/Sendoff.csproj src/Sendoff/packages.lock.json src/Sendoff/
RUN dotnet restore src/Sendoff --locked-mode
COPY src src
COPY samples samples
# Compiled ahead for this platform: a start takes less processor time.
RUN dotnet publish src/Sendoff -c Release -o /app --use-current-runtime --self-contained false -p:PublishReadyToRun=true -p:RestoreLockedMode=false

FROM mcr.microsoft.com/dotnet/aspnet:10.0
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=build /app /app
RUN ln -s /app/sendoff /usr/local/bin/sendoff
# The sandbox of workers; it needs user namespaces, which Docker's default profile forbids (docs/operating.md, Isolation).
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap && rm -rf /var/lib/apt/lists/*
RUN useradd --system --create-home --uid 5180 sendoff && mkdir /data && chown sendoff /data
USER sendoff
WORKDIR /data
VOLUME /data
# .NET's diagnostics let every process of this user read the server's memory and environment.
ENV DOTNET_EnableDiagnostics=0
ENV SENDOFF_Data=/data SENDOFF_Listen=http://0.0.0.0:5180 SENDOFF_Workers__NodePath=/usr/local/bin/node
EXPOSE 5180
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/sendoff"]
CMD ["serve"]
