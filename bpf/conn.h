/* Who is the connection, and is it one we watch? Keyed by the kernel's socket, created when data first
 * passes, and checked against the socket's own addresses each time, since addresses are reused. */

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6

#define CHUNK_MAX 16384 /* bytes copied into one event */
#define PIECES_MAX 32  /* events, hence buffers, of one call; what is beyond is sent as a length */
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

struct conn {
	u64 generation; /* when this life was first seen: no two lives of one socket begin at once */
	u64 position[2];
	u64 addresses; /* skc_addrpair as the socket has it, for comparison */
	u32 flags;
	struct tuple tuple;
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
	struct event head;
	u8 bytes[CHUNK_MAX];
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

static inline int process_is_watched(u32 tgid)
{
	struct name name = {};
	if (except_pids.lookup(&tgid))
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

static inline struct conn *create_conn(u64 sk, u32 flags, u8 role)
{
	struct conn fresh = {};
	fresh.generation = bpf_ktime_get_ns();
	fresh.addresses = read_u64(sk + O_SOCK_V4_PEER);
	read_tuple(sk, &fresh.tuple);
	fresh.tuple.role = role;
	fresh.flags = flags;
	if (!ports_are_watched(&fresh.tuple))
		fresh.flags |= CONN_FILTERED;
	conns.update(&sk, &fresh);
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
		if (size > CHUNK_MAX)
			size = CHUNK_MAX;
		BOUND(size);
		copied = bpf_probe_read_user(scratch->bytes, size, (void *)walk->base) == 0 ? size : 0;
		scratch->head.position = position;
		scratch->head.length = size;
		hand_over(scratch, copied);
		position += size;
		walk->base += size;
		walk->room -= size;
		walk->left -= size;
		walk->total -= size;
	}
	if (walk->total) {
		scratch->head.position = position;
		scratch->head.length = walk->total;
		hand_over(scratch, 0);
		position += walk->total;
	}
	return position;
}
