# One node of Parley. Built and run by docker-compose.yml, or alone with the embedded database:
#
#   docker build -t parley .
#   docker run --rm -p 4000:4000 -v parley:/data -e JWT_SECRET="$(openssl rand -base64 48)" parley
#
# Two more commands are in it (npm's scripts are not): `node dist/role.js <username> ADMIN` says who is what in the whole
# service, `node dist/migrate.js` brings the database to what this version needs.
#
# Debian's Node rather than Alpine's: the official build, tested by its makers, where the one for musl is not.
FROM node:24-slim AS base
WORKDIR /app
COPY package.json package-lock.json .npmrc ./

FROM base AS build
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build

FROM base AS dependencies
# `optional` leaves out Prisma's command line, an optional peer of its client, and native bindings that nothing needs.
# Of Prisma's query compilers one is used; source maps and type declarations are for developers.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \
      -o -name 'query_compiler_*' ! -name '*.postgresql.*' \) -delete

FROM node:24-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=4000 \
    DATA_DIR=/data
RUN install --directory --owner=node --group=node --mode=700 /data
WORKDIR /app
# Owned by root: the server cannot change its own code.
COPY package.json ./
COPY prisma/migrations prisma/migrations
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
VOLUME /data
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is the first process, so that SIGTERM reaches it and it drains.
CMD ["node", "dist/main.js"]
