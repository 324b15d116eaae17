/* Connections, keyed by the kernel's socket. One is created when data first passes, and compared with the socket's
 * addresses on each use, since the kernel reuses sockets. */

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

/* Reads two members of a struct, at once if they are neighbours, as they are unless a kernel shuffles its structs:
 * each read costs a call (about 20 ns), and every system call on a file makes them. */
static inline void read_two(u64 address, u32 first, u32 second, u64 *values)
{
	if (second == first + 8) {
		bpf_probe_read_kernel(values, 16, (void *)(address + first));
	} else {
		values[0] = read_u64(address + first);
		values[1] = read_u64(address + second);
	}
}

/* The socket behind a file descriptor of this process, 0 for none. */
static inline u64 socket_of(u32 fd)
{
	u64 fdt = read_u64(read_u64(bpf_get_current_task() + O_TASK_FILES) + O_FILES_FDT);
	u64 two[2] = {}, file, socket;
	read_two(fdt, O_FDT_MAX, O_FDT_FD, two);
	if (fd >= (u32)two[0])
		return 0;
	file = read_u64(two[1] + 8ul * fd);
	if (!file)
		return 0;
	socket = read_u64(file + O_FILE_PRIVATE);
	if (!socket)
		return 0;
	read_two(socket, O_SOCKET_FILE, O_SOCKET_SK, two);
	/* Only a socket's private data points back to the file. */
	return two[0] == file ? two[1] : 0;
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

static inline void start_body_tracks(struct body_tracks *tracks)
{
	tracks->half[0].mode = TRACK_START;
	tracks->half[1].mode = TRACK_START;
}

/* Creates a connection, in a scratch since it is too large for the stack. */
static inline struct conn *create_conn(u64 sk, u16 flags, u8 role)
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
		start_body_tracks(&fresh->tracks);
	if (!ports_are_watched(&fresh->tuple))
		fresh->counter = COUNT_FILTERED;
	if (flags & CONN_FROM_START || conns.lookup(&sk))
		conns.update(&sk, fresh);
	else
		conns.insert(&sk, fresh); /* fails if another thread was first */
	give_back(scratch);
	return conns.lookup(&sk);
}

/* The socket's connection, if it is known. The local port is not compared: the kernel clears it while received
 * data can still be read. */
static inline struct conn *known_conn(u64 sk)
{
	struct conn *conn = conns.lookup(&sk);
	u64 ends[2] = {};
	if (!conn)
		return 0;
	read_two(sk, O_SOCK_V4_PEER, O_SOCK_DPORT - 4, ends); /* the addresses; a hash, the ports */
	return conn->addresses == ends[0] && conn->tuple.peer_port == __builtin_bswap16(ends[1] >> 32) ? conn : 0;
}

static inline struct conn *conn_of(u64 sk)
{
	struct conn *conn = known_conn(sk);
	return conn ? conn : create_conn(sk, 0, ROLE_UNKNOWN);
}

/* Marks a connection as TLS, whatever its first bytes suggested. */
static inline void tls_carried(struct conn *conn)
{
	if (conn->counter != COUNT_FILTERED)
		conn->counter = COUNT_TLS_CIPHERTEXT;
}

/* Stores the socket of a TLS library's connection. Two threads that pass at once store the same. `sk_generation` is
 * stored last: until another thread sees it, it takes the socket for unknown, and not for another one. */
static inline void tls_bind(struct tls_conn *tls, u64 sk, struct conn *socket)
{
	tls->sk = sk;
	tls->tuple = socket->tuple;
	tls->flags |= socket->counter == COUNT_FILTERED ? CONN_FILTERED : 0;
	asm volatile("" ::: "memory");
	*(volatile u64 *)&tls->sk_generation = socket->generation;
}

static inline int tls_is_bound(struct tls_conn *tls)
{
	return *(volatile u64 *)&tls->sk_generation != 0;
}

/* The counter for the bytes of an ignored connection; 0 if it is not ignored. */
static inline u32 ignored_as(u64 address, u64 generation)
{
	struct ignore_rule *rule = ignored.lookup(&address);
	return rule && rule->generation == generation ? rule->counter : 0;
}
