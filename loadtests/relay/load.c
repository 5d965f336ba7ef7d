/* Two-way calls through a relay: a 172-byte packet each 20 ms and direction, evenly spread.
 *
 *   load TABLE WARMUP_S SECONDS PORT_A PORT_B
 *
 * TABLE has "port port" for each call: where the relay on 127.0.0.1 listens to A and to B. All A sides share the
 * local port PORT_A, all B sides PORT_B. Prints START and END around the measured time, then one line of JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { SIZE = 172, BATCH = 16, MOST = 40000, SLOWEST = 200000 };

static struct sockaddr_in to[2 * MOST];	/* 2 * call: A to B, 2 * call + 1: B to A */
static uint32_t next[2 * MOST];
static int ends[2];
static uint64_t from_ns = UINT64_MAX, until_ns = UINT64_MAX, sent, came, wrong, late_us[SLOWEST + 1];

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void write_packet(uint8_t *p, uint32_t stream, uint64_t at)
{
	uint32_t n = next[stream]++, words[2] = { htonl(n * 160), htonl(0x10000 + stream) };
	uint16_t sequence = htons(n & 0xffff);

	memset(p, 0xd5, SIZE);
	p[0] = 0x80;
	p[1] = 8;
	memcpy(p + 2, &sequence, 2);
	memcpy(p + 4, words, 8);
	memcpy(p + 12, &at, 8);
	memcpy(p + 20, &stream, 4);
}

static void read_packets(int end)
{
	static uint8_t data[64][256];
	struct mmsghdr m[64];
	struct iovec v[64];
	int got;

	do {
		for (int i = 0; i < 64; i++) {
			v[i] = (struct iovec){ data[i], sizeof data[i] };
			m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
		}
		got = recvmmsg(ends[end], m, 64, MSG_DONTWAIT, NULL);
		uint64_t now = now_ns(), at;
		for (int i = 0; i < got; i++) {
			uint32_t stream;
			memcpy(&at, data[i] + 12, 8);
			memcpy(&stream, data[i] + 20, 4);
			if (m[i].msg_len != SIZE || data[i][0] != 0x80 || data[i][SIZE - 1] != 0xd5 ||
			    (int)(stream & 1) == end || at > now) {
				wrong++;
				continue;
			}
			if (at < from_ns || at >= until_ns)
				continue;
			uint64_t us = (now - at) / 1000;
			came++;
			late_us[us < SLOWEST ? us : SLOWEST]++;
		}
	} while (got == 64);
}

static void send_packets(uint32_t from, uint32_t end_at, int end)
{
	static uint8_t data[BATCH][SIZE];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];

	while (from < end_at) {
		uint64_t at = now_ns();
		int count = 0;
		for (; count < BATCH && from < end_at; count++, from++) {
			uint32_t stream = 2 * from + end;
			write_packet(data[count], stream, at);
			v[count] = (struct iovec){ data[count], SIZE };
			m[count].msg_hdr = (struct msghdr){ .msg_iov = &v[count], .msg_iovlen = 1,
				.msg_name = &to[stream], .msg_namelen = sizeof to[0] };
		}
		for (int done = 0, r; done < count; done += r > 0 ? r : 1)
			r = sendmmsg(ends[end], m + done, count - done, 0);
		if (at >= from_ns && at < until_ns)
			sent += count;
	}
}

static unsigned percentile(double part)
{
	uint64_t sum = 0;
	for (unsigned us = 0; us <= SLOWEST; us++)
		if ((sum += late_us[us]) > came * part)
			return us;
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t calls = 0;
	int port[2];
	FILE *table = argc == 6 ? fopen(argv[1], "r") : NULL;

	if (!table)
		return 2;
	for (; calls < MOST && fscanf(table, "%d %d", &port[0], &port[1]) == 2; calls++)
		for (int end = 0; end < 2; end++)
			to[2 * calls + end] = loopback(port[end]);
	for (int end = 0; end < 2; end++) {
		struct sockaddr_in me = loopback(atoi(argv[4 + end]));
		int buffer = 32 << 20;
		ends[end] = socket(AF_INET, SOCK_DGRAM, 0);
		if (setsockopt(ends[end], SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer))
			setsockopt(ends[end], SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
		if (bind(ends[end], (struct sockaddr *)&me, sizeof me)) {
			perror("bind");
			return 2;
		}
	}
	uint64_t start = now_ns(), warm = atof(argv[2]) * 1000, slots = warm + atof(argv[3]) * 1000;
	for (uint64_t slot = 0; slot < slots; slot++) {
		uint64_t due = start + slot * 1000000, now;
		if (slot == warm) {
			puts("START");
			fflush(stdout);
			from_ns = now_ns();
		}
		while ((now = now_ns()) < due) {
			struct pollfd p[2] = { { ends[0], POLLIN, 0 }, { ends[1], POLLIN, 0 } };
			struct timespec wait = { 0, due - now };
			if (ppoll(p, 2, &wait, NULL) > 0)
				for (int end = 0; end < 2; end++)
					read_packets(end);
		}
		for (int end = 0; end < 2; end++) {
			uint64_t part = slot % 20;
			send_packets(calls * part / 20, calls * (part + 1) / 20, end);
			read_packets(end);
		}
	}
	until_ns = now_ns();
	puts("END");
	fflush(stdout);
	struct pollfd p[2] = { { ends[0], POLLIN, 0 }, { ends[1], POLLIN, 0 } };
	while (poll(p, 2, 200) > 0)
		for (int end = 0; end < 2; end++)
			read_packets(end);
	printf("{\"calls\": %u, \"sent\": %lu, \"came\": %lu, \"wrong\": %lu, \"p50_us\": %u, \"p99_us\": %u}\n",
	       calls, sent, came, wrong, percentile(.5), percentile(.99));
	return 0;
}
