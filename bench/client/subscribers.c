// Thousands of WebSocket subscribers in one process that needs little CPU time compared with the server it measures.
// protocol.md describes its commands on stdin and its output on stdout. subscribers.mjs does the same where no compiler
// is installed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SOCKETS = 60000, MAX_SCRIPTS = 8192, MAX_STEPS = 8, READ_BYTES = 1 << 18 };
// Latencies are counted in a histogram with steps of 10 µs up to 20 s, so that they need not be stored individually.
enum { LATENCY_STEP_US = 10, LATENCY_STEPS = 2000000 };

struct step {
  int sends;
  char *text;
};

struct script {
  int port;
  char *path, *protocol;
  struct step steps[MAX_STEPS];
  int step_count;
};

struct sock {
  int fd, script, step;
  int upgraded, through;
  long last_seq;
  // The beginning of an incomplete frame.
  uint8_t *rest;
  size_t rest_length;
};

static struct script scripts[MAX_SCRIPTS];
static struct script *last_script;
static struct sock sockets[MAX_SOCKETS];
static int socket_count, started, through, in_flight;
static double connect_began;
static int epoll;
static char *marker;
static long notify_every, notified, events, reads_with_events, disorder, lost;
static int notify_each;
static long counted_events;
static uint32_t latencies[LATENCY_STEPS];
static uint8_t incoming[READ_BYTES];

static double now_us(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e6 + at.tv_nsec / 1e3;
}

static void die(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("subscribers: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  exit(1);
}

// ── sending ──

static void write_all(struct sock *s, const void *bytes, size_t length) {
  // The messages of a subscriber always fit into an empty socket buffer.
  if (write(s->fd, bytes, length) != (ssize_t)length) die("a socket took less than it was given: %s", strerror(errno));
}

static void send_frame(struct sock *s, int opcode, const char *payload, size_t length) {
  static const uint8_t mask[4] = {0x51, 0x9c, 0x2f, 0xe3};
  uint8_t *frame = malloc(length + 8);
  size_t head = 2;
  if (length > 65535) die("too long to send");
  frame[0] = 0x80 | opcode;
  if (length < 126) {
    frame[1] = 0x80 | length;
  } else {
    frame[1] = 0x80 | 126;
    frame[2] = length >> 8;
    frame[3] = length & 255;
    head = 4;
  }
  memcpy(frame + head, mask, 4);
  for (size_t i = 0; i < length; i++) frame[head + 4 + i] = payload[i] ^ mask[i & 3];
  write_all(s, frame, head + 4 + length);
  free(frame);
}

// ── the script of a socket, up to its subscription ──

static void start_next(void);

static void run_script(struct sock *s) {
  struct script *script = &scripts[s->script];
  while (s->step < script->step_count && script->steps[s->step].sends) {
    send_frame(s, 1, script->steps[s->step].text, strlen(script->steps[s->step].text));
    s->step++;
  }
  if (s->step < script->step_count || s->through) return;
  s->through = 1;
  through++;
  if (through == socket_count) printf("connected %d %.1f\n", through, (now_us() - connect_began) / 1e3);
  else start_next();
}

static void start(struct sock *s) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  to.sin_port = htons(scripts[s->script].port);
  int one = 1;
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (s->fd < 0) die("no more sockets (%s): raise `ulimit -n`", strerror(errno));
  setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(s->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("connect: %s", strerror(errno));
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = s};
  epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event);
}

static void start_next(void) {
  while (started < socket_count && started - through < in_flight) start(&sockets[started++]);
}

static void handshake(struct sock *s) {
  struct script *script = &scripts[s->script];
  char request[1024];
  int has_protocol = strcmp(script->protocol, "-") != 0;
  int length = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                        script->path, script->port, has_protocol ? "Sec-WebSocket-Protocol: " : "",
                        has_protocol ? script->protocol : "", has_protocol ? "\r\n" : "");
  write_all(s, request, length);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
  epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event);
}

// ── reading ──

static long number_after(const uint8_t *payload, size_t length, const char *key) {
  const uint8_t *at = memmem(payload, length, key, strlen(key));
  return at ? strtol((const char *)at + strlen(key), NULL, 10) : -1;
}

static void on_event(struct sock *s, const uint8_t *payload, size_t length, double now) {
  events++;
  counted_events++;
  long seq = number_after(payload, length, "\"seq\":");
  if (s->last_seq > 0 && seq != s->last_seq + 1) disorder++;
  s->last_seq = seq;
  long sent = number_after(payload, length, "\"text\":\"");
  if (sent > 0) {
    double took = (now - sent) / LATENCY_STEP_US;
    latencies[took < 0 ? 0 : took >= LATENCY_STEPS ? LATENCY_STEPS - 1 : (int)took]++;
  }
  if (notify_each) printf("event %d\n", (int)(s - sockets));
  if (notify_every > 0 && events / notify_every > notified) printf("delivered %ld\n", notified = events / notify_every);
}

static int on_frame(struct sock *s, int opcode, const uint8_t *payload, size_t length, double now) {
  if (opcode == 9) send_frame(s, 10, (const char *)payload, length);
  if (opcode == 8) {
    int code = length < 2 ? 0 : payload[0] << 8 | payload[1];
    if (!s->through) die("closed with %d before it was subscribed: %.*s", code, (int)length - 2, payload + 2);
    if (lost++ == 0) fprintf(stderr, "subscribers: a socket was closed with %d\n", code);
  }
  if (opcode != 1) return 0;
  // The heartbeat of Engine.IO.
  if (length == 1 && payload[0] == '2') {
    send_frame(s, 1, "3", 1);
    return 0;
  }
  if (!s->through) {
    char *awaited = scripts[s->script].steps[s->step].text;
    if (memmem(payload, length, awaited, strlen(awaited))) s->step++, run_script(s);
    else if (memmem(payload, length, "error", 5)) die("refused: %.*s", (int)length, payload);
    return 0;
  }
  if (!marker || !memmem(payload, length, marker, strlen(marker))) return 0;
  on_event(s, payload, length, now);
  return 1;
}

/** Returns the number of bytes that belong to complete frames. */
static size_t read_frames(struct sock *s, uint8_t *bytes, size_t length, double now) {
  size_t at = 0;
  int had_events = 0;
  while (length - at >= 2) {
    size_t head = 2, size = bytes[at + 1] & 127;
    if (size == 126) {
      if (length - at < 4) break;
      size = bytes[at + 2] << 8 | bytes[at + 3];
      head = 4;
    } else if (size == 127) {
      die("a frame of more than 64 KiB");
    }
    if (length - at < head + size) break;
    had_events |= on_frame(s, bytes[at] & 15, bytes + at + head, size, now);
    at += head + size;
  }
  reads_with_events += had_events;
  return at;
}

static void end_socket(struct sock *s) {
  close(s->fd);
  s->fd = -1;
}

static void on_readable(struct sock *s) {
  size_t kept = s->rest_length;
  if (kept) memcpy(incoming, s->rest, kept);
  ssize_t got = read(s->fd, incoming + kept, READ_BYTES - kept - 1);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    if (!s->through) die("a socket ended before it was subscribed");
    lost++;
    end_socket(s);
    return;
  }
  double now = now_us();
  size_t length = kept + got, done = 0;
  incoming[length] = 0;
  if (!s->upgraded) {
    uint8_t *end = memmem(incoming, length, "\r\n\r\n", 4);
    if (end) {
      if (strncmp((char *)incoming, "HTTP/1.1 101", 12)) die("no upgrade: %.*s", 60, incoming);
      s->upgraded = 1;
      done = end + 4 - incoming;
      run_script(s);
    }
  }
  if (s->upgraded) done += read_frames(s, incoming + done, length - done, now);
  s->rest_length = length - done;
  free(s->rest);
  s->rest = NULL;
  if (s->rest_length) s->rest = memcpy(malloc(s->rest_length), incoming + done, s->rest_length);
}

// ── commands ──

static long percentile(double share, long total) {
  long seen = 0;
  for (long i = 0; i < LATENCY_STEPS; i++) {
    seen += latencies[i];
    if (seen > 0 && seen >= share * total) return i * LATENCY_STEP_US;
  }
  return 0;
}

static void print_stats(void) {
  long timed = 0;
  for (long i = 0; i < LATENCY_STEPS; i++) timed += latencies[i];
  printf("stats {\"events\":%ld,\"reads\":%ld,\"disorder\":%ld,\"lost\":%ld,\"p50\":%ld,\"p99\":%ld,\"max\":%ld}\n",
         counted_events, reads_with_events, disorder, lost, percentile(0.5, timed), percentile(0.99, timed),
         percentile(1, timed));
  memset(latencies, 0, sizeof latencies);
  counted_events = reads_with_events = disorder = 0;
}

static void add_script(char *rest) {
  char path[256], protocol[64];
  int id, port;
  if (sscanf(rest, "%d %d %255s %63s", &id, &port, path, protocol) != 4 || id < 0 || id >= MAX_SCRIPTS) die("script?");
  last_script = &scripts[id];
  *last_script = (struct script){.port = port, .path = strdup(path), .protocol = strdup(protocol)};
}

static void add_step(int sends, char *text) {
  if (!last_script || last_script->step_count == MAX_STEPS) die("step?");
  last_script->steps[last_script->step_count++] = (struct step){.sends = sends, .text = strdup(text)};
}

static void open_sockets(char *rest) {
  int id, count;
  if (sscanf(rest, "%d %d", &id, &count) != 2 || socket_count + count > MAX_SOCKETS) die("open?");
  while (count--) sockets[socket_count++] = (struct sock){.fd = -1, .script = id};
}

static void obey(char *line) {
  char *rest = strchr(line, ' ');
  if (rest) *rest++ = 0;
  else rest = "";
  if (!strcmp(line, "script")) add_script(rest);
  else if (!strcmp(line, "send")) add_step(1, rest);
  else if (!strcmp(line, "await")) add_step(0, rest);
  else if (!strcmp(line, "open")) open_sockets(rest);
  else if (!strcmp(line, "marker")) marker = strdup(rest);
  else if (!strcmp(line, "each")) notify_each = atoi(rest);
  else if (!strcmp(line, "stats")) print_stats();
  else if (!strcmp(line, "every")) {
    notify_every = atol(rest);
    events = notified = 0;
  } else if (!strcmp(line, "connect")) {
    in_flight = atoi(rest);
    connect_began = now_us();
    start_next();
  } else die("unknown command: %s", line);
}

/** Returns 0 at the end of stdin. */
static int read_commands(void) {
  static char buffer[1 << 20];
  static size_t length;
  ssize_t got = read(0, buffer + length, sizeof buffer - length - 1);
  if (got <= 0) return 0;
  length += got;
  buffer[length] = 0;
  char *line = buffer;
  for (char *end; (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    obey(line);
  }
  length -= line - buffer;
  memmove(buffer, line, length);
  return 1;
}

int main(void) {
  epoll = epoll_create1(0);
  struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &on_stdin);
  for (;;) {
    struct epoll_event ready[512];
    int count = epoll_wait(epoll, ready, 512, -1);
    for (int i = 0; i < count; i++) {
      struct sock *s = ready[i].data.ptr;
      if (!s) {
        if (!read_commands()) return 0;
      } else if (ready[i].events & EPOLLOUT) handshake(s);
      else on_readable(s);
    }
    fflush(stdout);
  }
}
