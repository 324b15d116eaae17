/* The structs and maps that several files use. The agent makes the maps, and gives those that are SIZED their
 * real bound: Sizes in agent/probes/programs.py. */

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6

#define CHUNK_MAX 16384 /* bytes copied into one event */
#define PIECES_MAX 64  /* events, hence buffers, of one call; further bytes are sent as a length only */
#define HEAD_BLOCKS 64 /* of 64 bytes each, of a head */
#define COPY_RANGES_MAX 32 /* skipped parts of one call */
#define CGROUPS_MAX 16  /* as in agent/probes/cgroups.py */
#define POD_LEVELS_MAX 12 /* as in agent/probes/pod_cgroups.py: depth of a pod's cgroup */
#define POD_CGROUPS 4096
#define POD_CAPTURED 1
#define POD_LEFT_OUT 2
#define OUTSIDE_PROCESSES 4096 /* with TLS that no probed library made */
#define HELLO_SOCKETS 8192 /* whose handshakes are not over */
#define SIZED 64
#define SCRATCHES 4     /* a uprobe can be preempted by another one on its CPU */

/* A pointer to a key of four bytes, in eight bytes of stack. Of a slot that was written in part the verifier keeps what
 * was there before, and walks all that follows once for each such past: that doubled the largest programs. */
#define KEY(name, number)                 \
	u64 name##_slot = (u32)(number); \
	void *name = &name##_slot

#define CONN_FROM_START 1
#define CONN_FILTERED 2 /* of a TLS library's connection */
#define CONN_HELLO 4 /* of a socket: what its TLS library wrote first was looked at */
#define CONN_OUTSIDE 8 /* of a socket: counted in outside_tls */
#define CONN_ENDS_TLS 16 /* of a socket: its end is that of `bound_object` in process `tls_tgid` (tls_rustls.c) */
#define CONN_LEFT_OUT 32 /* of a socket: processes that are left out passed bytes, and no captured one since */

enum track_mode { TRACK_UNKNOWN = 0, TRACK_START, TRACK_HTTP1, TRACK_HTTP2 };

struct tuple {
	u8 local[16];
	u8 peer[16];
	u16 local_port;
	u16 peer_port;
	u32 netns;
	u8 family;
	u8 role;
	u8 padding[2];
};

/* Where the bodies of a half lie (bodies.h): bytes from `keep` to `end` are not copied, and the next message or
 * frame begins at `end`. */
struct body_track {
	u64 keep;
	u64 end;
	u8 head[16]; /* of a frame: nine bytes */
	u8 have;     /* how many of them were read: a buffer may end within a header */
	u8 mode;
	u8 padding[6];
};

/* Both halves, with the number of their HTTP/1 messages so far. Each number is written by its own half only. */
struct body_tracks {
	struct body_track half[2];
	u32 asked;    /* requests, times two; plus one if the response to the last has no body (HEAD) */
	u32 answered; /* final responses */
};

struct conn {
	u64 generation; /* time of creation: two connections of one socket never begin at once */
	u64 position[2];
	u64 addresses; /* the socket's skc_addrpair, for comparison */
	u64 bound_object; /* the TLS connection proved to use this socket (tls_proof.h); 0 while unknown */
	u64 tls_object; /* the TLS connection whose call carried the first bytes, and its process; 0 for none */
	u32 tls_tgid;
	u16 flags;
	u16 counter; /* not 0: bytes are not copied, only counted here */
	struct tuple tuple;
	u32 tgid; /* the captured process whose bytes were handed over last; 0 for none */
	struct body_tracks tracks;
};

/* A connection of a TLS library: its object in a process. */
struct tls_key {
	u64 object;
	u32 tgid;
	u32 padding;
};

/* TLS of a process on the wire that no probed library made: by another library, or before it was probed. */
struct outside_tls {
	u64 bytes;
	u64 connections;
};

/* A TLS client's hello that passed on a socket outside of TLS calls: half of its random, in a process. One process
 * may be at both ends. */
struct hello_key {
	u64 random;
	u32 tgid;
	u32 direction;
};

struct hello_socket {
	u64 sk;
	u64 generation;
};

struct tls_conn {
	u64 generation;
	u64 position[2];
	u64 sk; /* 0 while unknown: TLS over memory buffers makes no system call */
	u64 sk_generation;
	u32 flags;
	u32 calls;  /* of goroutines, not returned yet */
	struct tuple tuple;
	u32 closed; /* not 0: it ends with the last of these */
	struct body_tracks tracks;
};

/* The bytes of one call in one direction: a buffer, an iovec array of buffers, or message headers (struct mmsghdr)
 * with an iovec array each. It is in a map, not on the stack: the verifier does not track values in maps through
 * every iteration of a loop. */
struct walk {
	u64 base;     /* the current buffer */
	u64 room;     /* remaining bytes of it */
	u64 iov;      /* the next struct iovec, 0 for none */
	u64 message;  /* the next struct mmsghdr, 0 for none */
	u32 messages; /* remaining messages */
	u32 left;     /* remaining bytes of the current message */
	u32 total;    /* remaining bytes of the call */
	u32 blind;    /* not 0: the bytes are not in user memory and cannot be copied */
	u32 copy;     /* bytes to copy before the next skipped ones */
	u32 over;     /* skipped bytes that were reported and not walked yet */
	u32 range;    /* index of the current one of scratch->ranges */
	u32 ranges;   /* number of ranges */
	u32 pages;    /* not 0: the buffers are pages of the kernel */
	u32 of_user;  /* not 0: the array of buffers is the process's own, wherever the backend has it */
};

/* A part of one call: bytes to copy, then bytes to skip. */
struct copy_range {
	u32 copy;
	u32 skip;
};

/* A scan of a call's bytes before they are copied. It is in a map for the same reason as a walk. */
struct scan {
	u64 base;
	u64 room;
	u64 iov;
	u64 at;   /* the current position */
	u64 stop; /* the position after the call */
	u64 told; /* the position up to which ranges are planned */
	u32 end;  /* of an HTTP/1 head; 0 while unknown */
	u32 line; /* the start of the current line */
	u32 length_at; /* the start of Content-Length's value, 0 for none */
	u32 doubt;
	u32 block; /* the current one of `lines` */
	u32 size;  /* bytes that were read */
	u64 carry; /* 1 if the previous block ends with a carriage return */
	u64 feeds; /* whether the last two bytes of the previous block end lines */
	u64 lines[HEAD_BLOCKS]; /* a bit for each byte of a head's blocks: set where a line ends */
};

/* An ignored connection: the bytes of this generation are not copied, only counted under `counter`. */
struct ignore_rule {
	u64 generation;
	u32 counter;
	u32 padding;
};

struct scratch {
	u32 busy;
	u32 padding;
	struct walk walk;
	struct scan scan;
	struct copy_range ranges[COPY_RANGES_MAX];
	struct event head;
	u8 bytes[CHUNK_MAX + 16]; /* a whole word may be read at the last byte */
};

/* A process's name, truncated by the kernel. */
struct name {
	char bytes[16];
};
/* A cgroup (v2) and all its descendants. `level` is its depth below the root of the hierarchy. */
struct cgroup {
	u64 id;
	u32 level;
	u32 excluded;
};
BPF_RINGBUF_OUTPUT(events, SIZED);
BPF_PERCPU_ARRAY(scratches, struct scratch, SCRATCHES);
BPF_PERCPU_ARRAY(counters, u64, COUNTERS); /* by enum counter */
BPF_ARRAY(settings, u64, SETTINGS);        /* by enum setting; this and all below are written by user space */
BPF_HASH(only_ports, u16, u8, 256);
BPF_HASH(except_ports, u16, u8, 256);
BPF_HASH(only_pids, u32, u8, 1024);
BPF_HASH(except_pids, u32, u8, 1024);
BPF_HASH(only_names, struct name, u8, 256);
BPF_ARRAY(cgroups, struct cgroup, CGROUPS_MAX);
BPF_HASH(pod_cgroups, u64, u8, POD_CGROUPS); /* by cgroup id: POD_CAPTURED or POD_LEFT_OUT */
BPF_TABLE("lru_hash", u64, struct ignore_rule, ignored, SIZED); /* by struct sock * or TLS object */

BPF_TABLE("lru_hash", struct hello_key, struct hello_socket, hello_sockets, HELLO_SOCKETS);
BPF_TABLE("lru_hash", u32, struct outside_tls, outside_tls, OUTSIDE_PROCESSES); /* by tgid */
BPF_TABLE("lru_hash", u64, struct conn, conns, SIZED); /* by struct sock * */
BPF_TABLE("lru_hash", struct tls_key, struct tls_conn, tls_conns, SIZED);
