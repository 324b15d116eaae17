/* What the kernel side remembers: the structs and maps that several files use. A bound in capitals that is not
 * defined here is one of Sizes in agent/probes/programs.py. */

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6

#define CHUNK_MAX 16384 /* bytes copied into one event */
#define PIECES_MAX 64  /* events, hence buffers, of one call; what is beyond is sent as a length */
#define COPY_RANGES_MAX 32 /* parts of one call that are left out */
#define CGROUPS_MAX 16  /* as in agent/probes/cgroups.py */
#define SCRATCHES 4     /* a uprobe can be preempted by another one on its CPU */

#define CONN_FROM_START 1
#define CONN_FILTERED 2 /* of a TLS library's connection */

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

/* Where a half's bodies lie (bodies.h): nothing from `keep` to `end` is copied, and at `end` the next message
 * or frame begins. */
struct body_track {
	u64 keep;
	u64 end;
	u8 head[16]; /* of a frame, nine bytes */
	u8 have;     /* how many of them are here: a header may be cut by the end of a buffer */
	u8 mode;
	u8 padding[6];
};

/* Both halves, and their HTTP/1 messages so far. Each number has one writer, the half it belongs to. */
struct body_tracks {
	struct body_track half[2];
	u32 asked;    /* requests, times two, plus one if the last is answered without a body (HEAD) */
	u32 answered; /* final responses */
};

struct conn {
	u64 generation; /* when this life was first seen: no two lives of one socket begin at once */
	u64 position[2];
	u64 addresses; /* skc_addrpair as the socket has it, for comparison */
	u64 bound_object; /* the TLS connection that it feeds, by proof (tls_proof.h); 0 while unknown */
	u64 tls_object; /* the TLS connection in whose call the first bytes passed, and its process; 0 for none */
	u32 tls_tgid;
	u16 flags;
	u16 counter; /* not 0: its bytes are only counted, under this */
	struct tuple tuple;
	struct body_tracks tracks;
};

/* A connection of a TLS library: its object in a process. */
struct tls_key {
	u64 object;
	u32 tgid;
	u32 padding;
};

struct tls_conn {
	u64 generation;
	u64 position[2];
	u64 sk; /* 0 while unknown: fed from memory, the library makes no system call */
	u64 sk_generation;
	u32 flags;
	u32 padding;
	struct tuple tuple;
	u32 padding2;
	struct body_tracks tracks;
};

/* One direction's bytes of one call: a buffer, or buffers listed by an iovec array, or message headers
 * (struct mmsghdr) that each list some. It lives in a map, not on the stack: what the verifier does not
 * know it need not follow through every turn of the loop. */
struct walk {
	u64 base;     /* the current buffer */
	u64 room;     /* bytes of it not walked yet */
	u64 iov;      /* the next struct iovec, 0 for none */
	u64 message;  /* the next struct mmsghdr, 0 for none */
	u32 messages; /* how many more */
	u32 left;     /* bytes of the current message not walked yet */
	u32 total;    /* and of the whole call */
	u32 blind;    /* not 0: there is no user memory to copy from */
	u32 copy;     /* bytes to copy before the next that are left out */
	u32 over;     /* bytes that are left out and told, and not walked yet */
	u32 range;    /* the current one of scratch->ranges */
	u32 ranges;   /* how many there are */
};

/* A part of one call: bytes to copy, then bytes to leave out. */
struct copy_range {
	u32 copy;
	u32 skip;
};

/* Looking ahead over a call's bytes. In a map for the same reason as a walk. */
struct scan {
	u64 base;
	u64 room;
	u64 iov;
	u64 at;   /* the position looked at */
	u64 stop; /* the position after the call */
	u64 told; /* the position up to which there are ranges */
	u32 end;  /* of an HTTP/1 head; 0 while unknown */
	u32 line; /* where its last line ended */
	u32 length_at; /* where Content-Length's value is, 0 for none */
	u32 doubt;
	u64 feeds; /* ends of lines in the current word that are not looked at yet */
	u64 alone; /* its carriage returns and line feeds that are not an end of a line */
	u64 carry; /* the last byte of the word before was a carriage return */
	u32 word;  /* where the next word is */
	u32 size;  /* of what there is */
};

/* This life of a connection is of no use: its bytes are only counted, under `counter`. */
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
	u8 bytes[CHUNK_MAX + 16]; /* a word may be read at the last byte */
};

/* A process's name, as the kernel cuts it. */
struct name {
	char bytes[16];
};
/* A cgroup (v2) with all below it. `level` is its depth below the root of the hierarchy. */
struct cgroup {
	u64 id;
	u32 level;
	u32 excluded;
};
BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_PERCPU_ARRAY(scratches, struct scratch, SCRATCHES);
BPF_PERCPU_ARRAY(counters, u64, COUNTERS); /* by enum counter */
BPF_ARRAY(settings, u64, SETTINGS);        /* by enum setting; this and all below written by user space */
BPF_HASH(only_ports, u16, u8, 256);
BPF_HASH(except_ports, u16, u8, 256);
BPF_HASH(only_pids, u32, u8, 1024);
BPF_HASH(except_pids, u32, u8, 1024);
BPF_HASH(only_names, struct name, u8, 256);
BPF_ARRAY(cgroups, struct cgroup, CGROUPS_MAX);
BPF_TABLE("lru_hash", u64, struct ignore_rule, ignored, CONNECTIONS); /* by struct sock * or TLS object */

BPF_TABLE("lru_hash", u64, struct conn, conns, CONNECTIONS); /* by struct sock * */
BPF_TABLE("lru_hash", struct tls_key, struct tls_conn, tls_conns, CONNECTIONS);
