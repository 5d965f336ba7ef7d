/* The least that a relay with a port for each stream does: moves datagrams between pairs of ports, knows nothing.
 *
 *   forward TABLE PORT_A PORT_B
 *
 * TABLE has "port port" for each call, on 127.0.0.1: what comes to the first leaves from the second to PORT_B,
 * and the other way to PORT_A. Prints READY. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BATCH = 64, SIZE = 2048, MOST = 80000 };

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

int main(int argc, char **argv)
{
	static uint8_t data[BATCH][SIZE];
	static int sockets[MOST];
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	struct epoll_event ready[256];
	int port[2], count = 0, poll = epoll_create1(0);
	FILE *table = argc == 4 ? fopen(argv[1], "r") : NULL;

	if (!table)
		return 2;
	struct sockaddr_in to[2] = { loopback(atoi(argv[3])), loopback(atoi(argv[2])) };
	while (count < MOST && fscanf(table, "%d %d", &port[0], &port[1]) == 2)
		for (int end = 0; end < 2; end++, count++) {
			struct sockaddr_in me = loopback(port[end]);
			struct epoll_event event = { .events = EPOLLIN, .data.u32 = count };
			sockets[count] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
			if (bind(sockets[count], (struct sockaddr *)&me, sizeof me) ||
			    epoll_ctl(poll, EPOLL_CTL_ADD, sockets[count], &event)) {
				perror("port");
				return 2;
			}
		}
	puts("READY");
	fflush(stdout);
	for (;;) {
		int events = epoll_wait(poll, ready, 256, -1);
		for (int e = 0; e < events; e++) {
			uint32_t at = ready[e].data.u32;
			for (int i = 0; i < BATCH; i++) {
				v[i] = (struct iovec){ data[i], SIZE };
				m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
			}
			int got = recvmmsg(sockets[at], m, BATCH, MSG_DONTWAIT, NULL);
			for (int i = 0; i < got; i++) {
				v[i].iov_len = m[i].msg_len;
				m[i].msg_hdr.msg_name = &to[at & 1];
				m[i].msg_hdr.msg_namelen = sizeof to[0];
			}
			for (int done = 0, r; done < got; done += r > 0 ? r : 1)
				r = sendmmsg(sockets[at ^ 1], m + done, got - done, 0);
		}
	}
}
