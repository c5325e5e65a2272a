# One node of Parley. Built and run by docker-compose.yml, or alone with the embedded database:
#
#   docker build -t parley .
#   docker run --rm -p 4000:4000 -v parley:/data -e JWT_SECRET="$(openssl rand -base64 48)" parley
#
# The image contains more commands (but not npm's scripts): `node dist/role.js <username> ADMIN` sets the service-wide
# role of a user, `node dist/migrate.js` migrates the database, `node dist/notifications.js trace <messageId> <username>`
# shows why a user was or was not notified of a message, and `node dist/media.js verify` compares the stored files with the
# database.
#
# The image is based on Debian rather than Alpine, because Node tests its official build, unlike the one for musl.
FROM node:24-slim AS base
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

FROM base AS build
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build

FROM base AS dependencies
# `optional` omits Prisma's command line, which is an optional peer dependency of its client, and unneeded native
# bindings. Only one of Prisma's query compilers is needed, and neither source maps nor type declarations.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \
      -o -name 'query_compiler_*' ! -name '*.postgresql.*' \) -delete

FROM node:24-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=4000 \
    DATA_DIR=/data
RUN install --directory --owner=node --group=node --mode=700 /data /media
WORKDIR /app
# Owned by root, so that the server cannot modify its own code.
COPY package.json ./
COPY prisma/migrations prisma/migrations
COPY --from=dependencies /app/node_modules node_modules
# The native libraries of sharp are optional packages, one for each platform.
COPY --from=build /app/node_modules/@img node_modules/@img
COPY --from=build /app/dist dist
USER node
VOLUME /data /media
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node is the first process, so that it receives SIGTERM and can shut down gracefully.
CMD ["node", "dist/main.js"]
