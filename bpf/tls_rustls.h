/* Where rustls has what its functions are given (tls_rustls.c). Layouts are what rustc makes of the types of rustls 0.23
 * for x86-64, and are recognised by what they hold:
 *
 *   type                  found by
 *   --------------------  ------------------------------------------------------------------------------------------
 *   OutboundPlainMessage  fixed: OutboundChunks, in which 0 stands for a single slice, then the type of message
 *   InboundOpaqueMessage  the slice that follows the head of a record with its length
 *   Message               the slice that begins where the record did, or after its nonce (rustls_is_plaintext)
 *   Context, CommonState  searched once a program for the decrypter; the encrypter is the neighbour with a table of
 *                         methods. Used where the decrypter is in that place again, and else searched anew
 */

#define RUSTLS_TYPE 32 /* of OutboundPlainMessage: after its OutboundChunks */
#define RUSTLS_APPLICATION_DATA 3 /* of enum ContentType */
#define RUSTLS_PIECES_MAX 64 /* before a record's first one */
#define RUSTLS_OPAQUE_WORDS 4 /* of InboundOpaqueMessage */
#define RUSTLS_MESSAGE_WORDS 32
#define RUSTLS_CONTEXT_WORDS 3
#define RUSTLS_STATE_WORDS 128 /* of CommonState */
#define RUSTLS_PROGRAMS 1024
#define RUSTLS_NONCE 8 /* the explicit part of AES-GCM's, in TLS 1.2 */
#define RUSTLS_TAG 16
#define RECORD_HEAD 5
#define RECORD_DATA 0x17

/* The record that a thread decrypted last, and whose plaintext is not captured yet. */
struct rustls_record {
	u64 decrypter;
	u64 payload; /* 0 for none that may be application data */
	u64 length;
};

/* Where a program has the encrypter and the decrypter: the word of Context, then offsets in CommonState. */
struct rustls_layout {
	u32 word;
	u32 decrypter;
	u32 encrypter;
};

BPF_TABLE("lru_hash", u32, struct rustls_layout, rustls_layouts, RUSTLS_PROGRAMS); /* by tgid */

/* The bytes to be encrypted: in one buffer, or in pieces of which some at either end are left out. Returns their
 * number; `*pieces` is the array from its first piece on, of which `*skip` bytes are left out. If there are too many
 * pieces before that one, the bytes are only counted. */
static inline u64 rustls_plaintext(u64 message, struct tls_call *call, u64 *pieces, u64 *skip)
{
	u64 chunks[4] = {}, piece[2] = {};
	bpf_probe_read_user(chunks, sizeof(chunks), (void *)message);
	if (!chunks[0]) {
		call->buffer = chunks[1];
		return chunks[2];
	}
	if (chunks[3] <= chunks[2])
		return 0;
	*pieces = chunks[0];
	*skip = chunks[2];
	for (int i = 0; i < RUSTLS_PIECES_MAX; i++) {
		if (i >= chunks[1])
			break;
		bpf_probe_read_user(piece, sizeof(piece), (void *)*pieces);
		if (*skip < piece[1])
			return chunks[3] - chunks[2];
		*skip -= piece[1];
		*pieces += sizeof(piece);
	}
	*pieces = 0;
	call->plaintext = PLAINTEXT_KEPT;
	return chunks[3] - chunks[2];
}

/* Finds the record in the message: a slice that follows a record's head with its length. Returns where it ends, 0 if it
 * is not found. */
static inline u64 rustls_find_record(struct rustls_record *record, u64 message)
{
	u64 words[RUSTLS_OPAQUE_WORDS] = {};
	bpf_probe_read_user(words, sizeof(words), (void *)message);
	for (int i = 0; i < RUSTLS_OPAQUE_WORDS - 1; i++) {
		u8 head[RECORD_HEAD] = {};
		u64 length = words[i + 1];
		if (bpf_probe_read_user(head, sizeof(head), (void *)(words[i] - RECORD_HEAD)))
			continue;
		if (head[0] < 0x14 || head[0] > RECORD_DATA || head[1] != 3 || (head[3] << 8 | head[4]) != length)
			continue;
		record->payload = head[0] == RECORD_DATA ? words[i] : 0;
		record->length = length;
		return words[i] + length;
	}
	return 0;
}

/* Whether a word may be the address of a table of methods: its type's size and alignment follow the destructor. */
static inline int rustls_is_table(u64 address)
{
	u64 table[4] = {};
	if (bpf_probe_read_user(table, sizeof(table), (void *)address))
		return 0;
	return table[1] && table[1] < 4096 && table[2] >= 8 && table[2] <= 64 && !(table[2] & (table[2] - 1)) &&
	       table[3] > 4096;
}

/* Searches where the program has the decrypter. The answer is in a map, not on the stack: or the verifier would follow
 * each place in which it may be. */
static inline void rustls_search(struct scratch *scratch, u64 context, u64 decrypter)
{
	u64 *words = (u64 *)scratch->bytes;
	scratch->scan.at = 0;
	for (u32 word = 0; word < RUSTLS_CONTEXT_WORDS; word++) {
		u64 common = user_u64(context + 8 * word);
		if (bpf_probe_read_user(words, 8 * RUSTLS_STATE_WORDS, (void *)common))
			continue;
		for (u32 at = 2; at < RUSTLS_STATE_WORDS - 3; at++) {
			if (words[at] == decrypter) {
				scratch->scan.block = word;
				scratch->scan.at = 8 * at;
			}
		}
		if (scratch->scan.at)
			return;
	}
}

/* Finds the program's layout: of the two neighbours of the decrypter, one has a table of methods. */
static inline void rustls_learn(u64 context, u64 decrypter, u32 tgid)
{
	struct rustls_layout found = {};
	struct scratch *scratch = take_scratch();
	int before, after;
	u64 place;
	if (!scratch)
		return;
	rustls_search(scratch, context, decrypter);
	found.word = scratch->scan.block;
	found.decrypter = scratch->scan.at;
	give_back(scratch);
	place = user_u64(context + 8 * found.word) + found.decrypter;
	before = rustls_is_table(user_u64(place - 8));
	after = rustls_is_table(user_u64(place + 24));
	if (!found.decrypter || before == after)
		return;
	found.encrypter = before ? found.decrypter - 16 : found.decrypter + 16;
	KEY(process, tgid);
	rustls_layouts.update(process, &found);
}

static inline u64 rustls_neighbour(u64 context, u64 decrypter, u32 tgid)
{
	KEY(process, tgid);
	struct rustls_layout *layout = rustls_layouts.lookup(process);
	u64 common;
	if (!layout)
		return 0;
	common = user_u64(context + 8 * layout->word);
	return user_u64(common + layout->decrypter) == decrypter ? user_u64(common + layout->encrypter) : 0;
}

/* The encrypter of the connection that has this decrypter; 0 if it is not known where it is. */
static inline u64 rustls_encrypter(u64 context, u64 decrypter, u32 tgid)
{
	u64 found = rustls_neighbour(context, decrypter, tgid);
	if (found)
		return found;
	rustls_learn(context, decrypter, tgid);
	return rustls_neighbour(context, decrypter, tgid);
}

/* Whether this slice is the plaintext of a record that was decrypted in its place. In TLS 1.2 aws-lc-rs leaves the
 * explicit nonce of AES-GCM before it (RFC 5288 section 3); ring moves the plaintext to where the nonce was. */
static inline int rustls_is_plaintext(u64 *slice, struct rustls_record *record, int is_newer)
{
	if (slice[1] >= record->length)
		return 0;
	if (slice[0] == record->payload)
		return 1;
	return !is_newer && slice[0] == record->payload + RUSTLS_NONCE &&
	       slice[1] + RUSTLS_NONCE + RUSTLS_TAG == record->length;
}

/* Finds the application data of a decrypted record, which the message has as a slice. Returns the number of its bytes,
 * 0 if there are none. In TLS 1.3 the message's type follows them, and perhaps padding (RFC 8446 section 5.2). */
static inline u64 rustls_received(u64 message, struct rustls_record *record, struct tls_call *call, int is_newer)
{
	u64 slice[2] = {};
	u8 type = RECORD_DATA;
	for (int i = 0; i < RUSTLS_MESSAGE_WORDS; i++) {
		bpf_probe_read_user(slice, sizeof(slice), (void *)(message + 8 * i));
		if (rustls_is_plaintext(slice, record, is_newer))
			break;
	}
	if (!rustls_is_plaintext(slice, record, is_newer))
		return 0;
	call->buffer = slice[0];
	if (is_newer)
		bpf_probe_read_user(&type, sizeof(type), (void *)(slice[0] + slice[1]));
	return type == RECORD_DATA ? slice[1] : 0;
}
