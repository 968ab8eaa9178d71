#define _GNU_SOURCE
/* A far link between two network namespaces: packets of two TUN devices, delayed, limited, lost.
   link DEVICE_A DEVICE_B DELAY_MS LOSS_PER_MILLION MBIT
   Says "ready" when the devices are there; runs until it is killed. Loss is on A -> B only. */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 2048, SLOTS = 16384, QUEUE = 4 << 20 };

struct slot {
  double due;
  int size;
  char data[PACKET];
};

struct way {
  int from, to, head, tail;
  long backlog;
  double free_at;
  struct slot *slots;
};

static double delay, rate;
static long loss;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int device(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request)) {
    perror(name);
    exit(1);
  }
  return fd;
}

static void take(struct way *way, int lossy) {
  for (int i = 0; i < 64; i++) {
    int next = (way->head + 1) % SLOTS;
    struct slot *slot = &way->slots[way->head];
    int size = read(way->from, slot->data, PACKET);
    if (size <= 0) return;
    if (next == way->tail || way->backlog + size > QUEUE) continue;
    if (lossy && random() % 1000000 < loss) continue;
    double t = now();
    way->free_at = (way->free_at > t ? way->free_at : t) + size / rate;
    slot->due = way->free_at + delay;
    slot->size = size;
    way->backlog += size;
    way->head = next;
  }
}

static double give(struct way *way) {
  while (way->tail != way->head) {
    struct slot *slot = &way->slots[way->tail];
    double left = slot->due - now();
    if (left > 0) return left;
    if (write(way->to, slot->data, slot->size) < 0) { /* the other end has no room: lost */
    }
    way->backlog -= slot->size;
    way->tail = (way->tail + 1) % SLOTS;
  }
  return 1;
}

int main(int count, char **words) {
  if (count != 6) return 2;
  int a = device(words[1]), b = device(words[2]);
  delay = atof(words[3]) / 1e3;
  loss = atol(words[4]);
  rate = atof(words[5]) * 1e6 / 8;
  struct way there = {.from = a, .to = b}, back = {.from = b, .to = a};
  there.slots = malloc(sizeof(struct slot) * SLOTS);
  back.slots = malloc(sizeof(struct slot) * SLOTS);
  puts("ready");
  fflush(stdout);
  for (;;) {
    double first = give(&there), second = give(&back);
    double wait = first < second ? first : second;
    struct timespec limit = {0, (long)(wait > 0.9 ? 9e8 : wait * 1e9)};
    struct pollfd ends[2] = {{a, POLLIN, 0}, {b, POLLIN, 0}};
    ppoll(ends, 2, &limit, NULL);
    take(&there, 1);
    take(&back, 0);
  }
}
