# What of the system the forwarder uses.

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <netinet/in.h>
    #include <pthread.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/socket.h>
    #include <time.h>
    union clarion_name {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    typedef union clarion_name Name;
    static inline double clarion_now(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec + t.tv_nsec * 1e-9;
    }
    """
    struct sockaddr:
        unsigned short sa_family
    struct in_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        unsigned int sin6_scope_id
        in_addr sin6_addr
    ctypedef union Name:
        sockaddr any
        sockaddr_in v4
        sockaddr_in6 v6
    enum:
        AF_INET
        AF_INET6
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    ctypedef union epoll_data_t:
        long long u64
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    ctypedef struct pthread_mutex_t:
        pass
    int MSG_DONTWAIT, MSG_TRUNC, EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL
    int recvmmsg(int, mmsghdr *, unsigned int, int, void *) nogil
    int sendmmsg(int, mmsghdr *, unsigned int, int) nogil
    ssize_t recvfrom(int, void *, size_t, int, sockaddr *, unsigned int *) nogil
    ssize_t sendto(int, const void *, size_t, int, const sockaddr *, unsigned int) nogil
    int epoll_wait(int, epoll_event *, int, int) nogil
    int epoll_ctl(int, int, int, epoll_event *) nogil
    int eventfd_write(int, unsigned long long) nogil
    int pthread_mutex_init(pthread_mutex_t *, void *) nogil
    int pthread_mutex_destroy(pthread_mutex_t *) nogil
    int pthread_mutex_lock(pthread_mutex_t *) nogil
    int pthread_mutex_unlock(pthread_mutex_t *) nogil
    double clarion_now() nogil
