/* Everything the kernel side says to user space. agent/probes/abi.py mirrors this file, and a test
 * compiles it and compares every offset. Structs are flat, padded by hand and little-endian.
 */
#ifndef SPECTAP_EVENT_H
#define SPECTAP_EVENT_H

enum event_kind {
	EVENT_OPENED = 1, /* a TCP connection was established */
	EVENT_CHUNK = 2,  /* bytes passed; `captured` of them follow the struct */
	EVENT_CLOSED = 3, /* the connection's end: nothing of this generation follows */
	EVENT_EXEC = 4,   /* a process runs a new program; its file name follows the struct */
	EVENT_EXIT = 5,   /* a process has ended */
};

enum event_source { SOURCE_SOCKET = 0 }; /* or a TLS library, by its row in agent/probes/tls.py */
enum event_direction { DIRECTION_SENT = 0, DIRECTION_RECEIVED = 1 };
enum event_role { ROLE_UNKNOWN = 0, ROLE_CLIENT = 1, ROLE_SERVER = 2 };

/* Addresses are in network byte order, IPv4 in the first four bytes; ports in host order. `family` is
 * AF_INET, AF_INET6, or 0 where the two ends are not known. */
struct event {
	unsigned long long time_ns;    /* CLOCK_MONOTONIC; of a send its entry, of a receive its return */
	unsigned long long address;    /* struct sock *, or the TLS library's connection */
	unsigned long long generation; /* tells apart two lives of one address */
	unsigned long long position;   /* of the first byte in its half */
	unsigned int length;           /* bytes that passed */
	unsigned int captured;         /* bytes that follow */
	unsigned int tgid;
	unsigned int netns;            /* inode number */
	unsigned short local_port;
	unsigned short peer_port;
	unsigned char kind;
	unsigned char source;
	unsigned char direction;
	unsigned char role;
	unsigned char from_start;      /* the connection was seen from its first byte */
	unsigned char family;
	unsigned char capped;          /* what was not captured is the part of a body beyond the cap */
	unsigned char padding[5];
	unsigned char local[16];
	unsigned char peer[16];
	char comm[16];
};

/* What never becomes an event is counted here, in bytes unless the name says otherwise. */
enum counter {
	COUNT_SEEN = 0,            /* all bytes that passed: handed over, or in one of the others */
	COUNT_TABLE_FULL = 1,      /* no room for their connection */
	COUNT_RING_FULL = 2,       /* no room in the ring */
	COUNT_RING_FULL_EVENTS = 3, /* events that found no room */
	COUNT_UNIX_SOCKET = 4,
	COUNT_NOT_TCP = 5,
	COUNT_FILTERED = 6,        /* by port, process, or as our own traffic */
	COUNT_TLS_CIPHERTEXT = 7,
	COUNT_NOT_HTTP = 8,
	COUNT_TABLE_FULL_CALLS = 9, /* calls that found no room in a table */
	COUNT_OPAQUE = 10,         /* after an upgrade or CONNECT */
	COUNTERS = 11,
};

/* Indices of the settings array, written by user space. */
enum setting {
	SETTING_DARK = 0,         /* not 0: every program returns at once */
	SETTING_OWN_NETNS = 1,    /* the namespace in which SETTING_OWN_PORT is ours */
	SETTING_OWN_PORT = 2,     /* the analysis server's port, 0 for none */
	SETTING_ONLY_PORTS = 3,   /* not 0: only ports in `only_ports` */
	SETTING_ONLY_PROCESSES = 4, /* not 0: only pids in `only_pids` or names in `only_names` */
	SETTING_BODY_CAP = 5,     /* bytes copied of each body whose end is known, 0 for all */
	SETTING_CGROUPS = 6,      /* how many of `cgroups` are in use */
	SETTING_ONLY_CGROUPS = 7, /* not 0: only processes in those of them that are not excluded */
	SETTING_PORTS = 8, /* not 0: someone chose ports, so what goes over unknown ones is not handed over */
	SETTINGS = 9,
};

#endif
