/* What the machine can do: N connections, each its share, read and pwrite into one file.
   bound HOST PORT PATH SIZE N OUT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, MOST = 64 };

static const char *host, *path;
static int port, out;

struct share {
  long start, stop;
};

static void *fetch(void *given) {
  struct share *share = given;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, host, &to.sin_addr);
  int sock = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(sock, (struct sockaddr *)&to, sizeof to)) exit(1);
  char *buffer = malloc(BUFFER);
  int length = snprintf(buffer, BUFFER,
                        "GET %s HTTP/1.1\r\nHost: %s\r\nRange: bytes=%ld-%ld\r\n"
                        "Connection: close\r\n\r\n",
                        path, host, share->start, share->stop - 1);
  if (write(sock, buffer, length) != length) exit(1);
  long at = share->start, got = 0;
  char *body = NULL;
  while (!body) {
    long n = read(sock, buffer + got, BUFFER - 1 - got);
    if (n <= 0) exit(1);
    got += n;
    buffer[got] = 0;
    body = strstr(buffer, "\r\n\r\n");
  }
  body += 4;
  long rest = got - (body - buffer);
  if (pwrite(out, body, rest, at) != rest) exit(1);
  at += rest;
  while (at < share->stop) {
    long n = read(sock, buffer, BUFFER);
    if (n <= 0 || pwrite(out, buffer, n, at) != n) exit(1);
    at += n;
  }
  close(sock);
  return NULL;
}

int main(int count, char **words) {
  if (count != 7) return 2;
  host = words[1];
  port = atoi(words[2]);
  path = words[3];
  long size = atol(words[4]);
  int n = atoi(words[5]);
  if (n < 1 || n > MOST) return 2;
  out = open(words[6], O_RDWR | O_CREAT | O_TRUNC, 0666);
  if (out < 0 || ftruncate(out, size)) return 1;
  pthread_t threads[MOST];
  struct share shares[MOST];
  for (int i = 0; i < n; i++) {
    shares[i] = (struct share){size / n * i, i == n - 1 ? size : size / n * (i + 1)};
    pthread_create(&threads[i], NULL, fetch, &shares[i]);
  }
  for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
  return close(out);
}
