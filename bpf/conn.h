/* Who is the connection, and is it one we watch? Keyed by the kernel's socket, created when data first
 * passes, and checked against the socket's own addresses each time, since addresses are reused. */

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6

#define CHUNK_MAX 16384 /* bytes copied into one event */
#define PIECES_MAX 64  /* events, hence buffers, of one call; what is beyond is sent as a length */
#define STRETCHES_MAX 32 /* parts of one call that are left out */
#define CGROUPS_MAX 16  /* as in agent/probes/cgroups.py */
#define SCRATCHES 4     /* a uprobe can be preempted by another one on its CPU */

/* Tells the verifier what clang knows and would leave out: a number of at most CHUNK_MAX. */
#define BOUND(number)                                        \
	asm volatile("%0 &= 0x7fff" : "+r"(number));         \
	if (number > CHUNK_MAX)                              \
		number = CHUNK_MAX;

#define CONN_FROM_START 1
#define CONN_IGNORED 2
#define CONN_TLS 4
#define CONN_FILTERED 8

enum course_mode { COURSE_UNKNOWN = 0, COURSE_START, COURSE_HTTP1, COURSE_HTTP2 };

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
struct course {
	u64 keep;
	u64 end;
	u8 head[16]; /* of a frame, nine bytes */
	u8 have;     /* how many of them are here: a header may be cut by the end of a buffer */
	u8 mode;
	u8 padding[6];
};

/* Both halves, and their HTTP/1 messages so far. Each number has one writer, the half it belongs to. */
struct courses {
	struct course half[2];
	u32 asked;    /* requests, times two, plus one if the last is answered without a body (HEAD) */
	u32 answered; /* final responses */
};

struct conn {
	u64 generation; /* when this life was first seen: no two lives of one socket begin at once */
	u64 position[2];
	u64 addresses; /* skc_addrpair as the socket has it, for comparison */
	u32 flags;
	struct tuple tuple;
	struct courses courses;
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
	u32 stretch;  /* the current one of scratch->stretches */
	u32 stretches; /* how many there are */
};

/* A part of one call: bytes to copy, then bytes to leave out. */
struct stretch {
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
	u64 told; /* the position up to which there are stretches */
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
struct verdict {
	u64 generation;
	u32 counter;
	u32 padding;
};

struct scratch {
	u32 busy;
	u32 padding;
	struct walk walk;
	struct scan scan;
	struct stretch stretches[STRETCHES_MAX];
	struct event head;
	u8 bytes[CHUNK_MAX + 16]; /* a word may be read at the last byte */
};

BPF_RINGBUF_OUTPUT(events, RING_PAGES);
BPF_PERCPU_ARRAY(scratches, struct scratch, SCRATCHES);
BPF_PERCPU_ARRAY(counters, u64, COUNTERS);
BPF_ARRAY(settings, u64, SETTINGS);
BPF_TABLE("lru_hash", u64, struct conn, conns, CONNECTIONS);
BPF_TABLE("lru_hash", u64, struct verdict, ignored, CONNECTIONS); /* by address, from user space */
BPF_HASH(only_ports, u16, u8, 256);
BPF_HASH(except_ports, u16, u8, 256);
BPF_HASH(only_pids, u32, u8, 1024);
BPF_HASH(except_pids, u32, u8, 1024);
struct name {
	char bytes[16];
};
/* A cgroup (v2) with all below it. `level` is its depth below the root of the hierarchy. */
struct cgroup {
	u64 id;
	u32 level;
	u32 excluded;
};
BPF_ARRAY(cgroups, struct cgroup, CGROUPS_MAX);
BPF_HASH(only_names, struct name, u8, 256);

static inline u64 setting(int index)
{
	u64 *value = settings.lookup(&index);
	return value ? *value : 0;
}

static inline void count(int index, u64 amount)
{
	u64 *value = counters.lookup(&index);
	if (value) /* a uprobe can be preempted by another one on its CPU */
		__sync_fetch_and_add(value, amount);
}

static inline u64 read_u64(u64 address)
{
	u64 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)address);
	return value;
}

static inline u32 read_u32(u64 address)
{
	u32 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)address);
	return value;
}

static inline u16 read_u16(u64 address)
{
	u16 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)address);
	return value;
}

static inline int cgroup_is_watched(void)
{
	u64 in_use = setting(SETTING_CGROUPS);
	int watched = !setting(SETTING_ONLY_CGROUPS);
	for (int i = 0; i < CGROUPS_MAX; i++) {
		int index = i;
		struct cgroup *cgroup = cgroups.lookup(&index);
		if (i >= in_use || !cgroup)
			break;
		if (bpf_get_current_ancestor_cgroup_id(cgroup->level) == cgroup->id) {
			if (cgroup->excluded)
				return 0;
			watched = 1;
		}
	}
	return watched;
}

static inline int process_is_watched(u32 tgid)
{
	struct name name = {};
	if (except_pids.lookup(&tgid))
		return 0;
	if (setting(SETTING_CGROUPS) && !cgroup_is_watched())
		return 0;
	if (!setting(SETTING_ONLY_PROCESSES))
		return 1;
	bpf_get_current_comm(&name, sizeof(name));
	return only_pids.lookup(&tgid) || only_names.lookup(&name);
}

static inline int ports_are_watched(struct tuple *tuple)
{
	u16 local = tuple->local_port, peer = tuple->peer_port, own = setting(SETTING_OWN_PORT);
	if (own && tuple->netns == (u32)setting(SETTING_OWN_NETNS) && (local == own || peer == own))
		return 0;
	if (except_ports.lookup(&local) || except_ports.lookup(&peer))
		return 0;
	if (!setting(SETTING_ONLY_PORTS))
		return 1;
	return only_ports.lookup(&local) || only_ports.lookup(&peer);
}

static inline void read_tuple(u64 sk, struct tuple *tuple)
{
	u16 family = read_u16(sk + O_SOCK_FAMILY);
	tuple->family = family;
	tuple->local_port = read_u16(sk + O_SOCK_NUM);
	tuple->peer_port = __builtin_bswap16(read_u16(sk + O_SOCK_DPORT));
	tuple->netns = read_u32(read_u64(sk + O_SOCK_NET) + O_NET_INUM);
	if (family == AF_INET6) {
		bpf_probe_read_kernel(tuple->local, 16, (void *)(sk + O_SOCK_V6_LOCAL));
		bpf_probe_read_kernel(tuple->peer, 16, (void *)(sk + O_SOCK_V6_PEER));
	} else {
		bpf_probe_read_kernel(tuple->local, 4, (void *)(sk + O_SOCK_V4_LOCAL));
		bpf_probe_read_kernel(tuple->peer, 4, (void *)(sk + O_SOCK_V4_PEER));
	}
}

static inline void start_courses(struct courses *courses)
{
	courses->half[0].mode = COURSE_START;
	courses->half[1].mode = COURSE_START;
}

static inline struct scratch *take_scratch(void)
{
	for (int i = 0; i < SCRATCHES; i++) {
		int slot = i;
		struct scratch *scratch = scratches.lookup(&slot);
		if (!scratch)
			return 0;
		/* Add, then look: whoever comes between the two sees more than one and takes the next. */
		__sync_fetch_and_add(&scratch->busy, 1);
		if (*(volatile u32 *)&scratch->busy == 1)
			return scratch;
		__sync_fetch_and_add(&scratch->busy, -1);
	}
	return 0;
}

static inline void give_back(struct scratch *scratch)
{
	__sync_fetch_and_add(&scratch->busy, -1);
}

/* The new connection is made in a scratch: it is too large for the stack. */
static inline struct conn *create_conn(u64 sk, u32 flags, u8 role)
{
	struct scratch *scratch = take_scratch();
	struct conn *fresh;
	if (!scratch)
		return 0;
	fresh = (struct conn *)scratch->bytes;
	__builtin_memset(fresh, 0, sizeof(*fresh));
	fresh->generation = bpf_ktime_get_ns();
	fresh->addresses = read_u64(sk + O_SOCK_V4_PEER);
	read_tuple(sk, &fresh->tuple);
	fresh->tuple.role = role;
	fresh->flags = flags;
	if (flags & CONN_FROM_START)
		start_courses(&fresh->courses);
	if (!ports_are_watched(&fresh->tuple))
		fresh->flags |= CONN_FILTERED;
	conns.update(&sk, fresh);
	give_back(scratch);
	return conns.lookup(&sk);
}

/* The local port is not compared: the kernel gives it up while what was received can still be read. */
static inline struct conn *conn_of(u64 sk)
{
	struct conn *conn = conns.lookup(&sk);
	if (conn && conn->addresses == read_u64(sk + O_SOCK_V4_PEER) &&
	    conn->tuple.peer_port == __builtin_bswap16(read_u16(sk + O_SOCK_DPORT)))
		return conn;
	return create_conn(sk, 0, ROLE_UNKNOWN);
}

/* The counter for what user space wants no more of, 0 for what it wants. */
static inline u32 ignored_as(u64 address, u64 generation)
{
	struct verdict *verdict = ignored.lookup(&address);
	return verdict && verdict->generation == generation ? verdict->counter : 0;
}

static inline void fill_head(struct event *head, u8 kind, u8 source, u64 address, u64 generation,
			     struct tuple *tuple)
{
	__builtin_memset(head, 0, sizeof(*head));
	head->time_ns = bpf_ktime_get_ns();
	head->address = address;
	head->generation = generation;
	head->kind = kind;
	head->source = source;
	head->tgid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(head->comm, sizeof(head->comm));
	if (tuple) {
		head->netns = tuple->netns;
		head->local_port = tuple->local_port;
		head->peer_port = tuple->peer_port;
		head->family = tuple->family;
		head->role = tuple->role;
		__builtin_memcpy(head->local, tuple->local, 16);
		__builtin_memcpy(head->peer, tuple->peer, 16);
	}
}

/* Hands over the head and `captured` bytes behind it, or counts what found no room. */
static inline void hand_over(struct scratch *scratch, u32 captured)
{
	struct event *head = &scratch->head;
	u64 size = captured;
	head->captured = captured;
	BOUND(size);
	if (events.ringbuf_output(head, sizeof(*head) + size, BPF_RB_NO_WAKEUP)) {
		if (head->kind == EVENT_CHUNK)
			count(COUNT_RING_FULL, head->length);
		count(COUNT_RING_FULL_EVENTS, 1);
	}
}

static inline void next_message(struct walk *walk)
{
	u64 header[2] = {};
	u32 length = 0;
	bpf_probe_read_user(header, sizeof(header), (void *)(walk->message + 16)); /* msg_iov, msg_iovlen */
	bpf_probe_read_user(&length, sizeof(length), (void *)(walk->message + 56)); /* msg_len */
	walk->iov = header[0];
	walk->left = length;
	walk->room = 0;
	walk->message += 64;
	walk->messages--;
}

static inline void next_buffer(struct walk *walk)
{
	u64 entry[2] = {};
	bpf_probe_read_user(entry, sizeof(entry), (void *)walk->iov);
	walk->iov += 16;
	walk->base = entry[0];
	walk->room = entry[1];
}

/* The bytes before the next that are left out have been copied: those are `over`. */
static inline void next_stretch(struct scratch *scratch)
{
	struct walk *walk = &scratch->walk;
	walk->over = scratch->stretches[walk->stretch & (STRETCHES_MAX - 1)].skip;
	walk->stretch++;
	walk->copy = ~0u;
	if (walk->stretch < walk->stretches)
		walk->copy = scratch->stretches[walk->stretch & (STRETCHES_MAX - 1)].copy;
}

static inline void pass(struct walk *walk, u64 size)
{
	walk->base += size;
	walk->room -= size;
	walk->left -= size;
}

/* Ships what scratch->walk walks as chunks of scratch->head's connection; returns the position after it. */
static inline u64 ship(struct scratch *scratch, u64 position)
{
	struct walk *walk = &scratch->walk;
	for (int i = 0; i < PIECES_MAX; i++) {
		u64 size, copied;
		if (!walk->left && walk->messages)
			next_message(walk);
		if (!walk->left || walk->blind)
			break;
		if (!walk->room && walk->iov)
			next_buffer(walk);
		if (!walk->room)
			continue; /* an empty buffer; the loop's bound ends a list of them */
		size = walk->left;
		if (walk->room < size)
			size = walk->room;
		if (walk->over) {
			if (walk->over < size)
				size = walk->over;
			walk->over -= size;
			pass(walk, size);
			continue;
		}
		if (size > CHUNK_MAX)
			size = CHUNK_MAX;
		if (walk->copy < size)
			size = walk->copy;
		BOUND(size);
		copied = bpf_probe_read_user(scratch->bytes, size, (void *)walk->base) == 0 ? size : 0;
		walk->copy -= size;
		if (!walk->copy)
			next_stretch(scratch);
		scratch->head.position = position;
		scratch->head.length = size + walk->over;
		scratch->head.capped = walk->over && copied == size;
		hand_over(scratch, copied);
		position += size + walk->over;
		walk->total -= size + walk->over;
		pass(walk, size);
	}
	if (walk->total) {
		scratch->head.position = position;
		scratch->head.length = walk->total;
		scratch->head.capped = 0;
		hand_over(scratch, 0);
		position += walk->total;
	}
	return position;
}
