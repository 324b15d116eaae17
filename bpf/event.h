/* The events and settings between the kernel programs and user space. agent/probes/abi.py mirrors this file; a
 * test compiles it and compares every offset. Structs are flat, padded by hand and little-endian.
 */
#ifndef SPECTAP_EVENT_H
#define SPECTAP_EVENT_H

enum event_kind {
	EVENT_OPENED = 1, /* a TCP connection was established */
	EVENT_CHUNK = 2,  /* bytes were transferred; `captured` of them follow the struct */
	EVENT_CLOSED = 3, /* a connection ended: nothing of this generation follows */
	EVENT_EXEC = 4,   /* a process runs a new program; its file name follows the struct */
	EVENT_EXIT = 5,   /* a process has ended */
	EVENT_HELLO = 6,  /* a TLS client began; its hello's random, HELLO_RANDOM bytes, follows the struct */
};

enum event_source { SOURCE_SOCKET = 0 }; /* others are TLS libraries, by row of agent/probes/tls.py */
#define HELLO_RANDOM 32

enum event_direction { DIRECTION_SENT = 0, DIRECTION_RECEIVED = 1 };
enum event_role { ROLE_UNKNOWN = 0, ROLE_CLIENT = 1, ROLE_SERVER = 2 };

/* Addresses are in network byte order, IPv4 in the first four bytes; ports in host order. `family` is
 * AF_INET, AF_INET6, or 0 if the two ends are unknown. */
struct event {
	unsigned long long time_ns;    /* CLOCK_MONOTONIC: entry of a send, return of a receive */
	unsigned long long address;    /* struct sock *, or the TLS library's connection */
	unsigned long long generation; /* distinguishes connections at one address */
	unsigned long long position;   /* of the first byte, in its half */
	unsigned int length;           /* bytes transferred */
	unsigned int captured;         /* bytes that follow the struct */
	unsigned int tgid;
	unsigned int netns;            /* inode number */
	unsigned short local_port;
	unsigned short peer_port;
	unsigned char kind;
	unsigned char source;
	unsigned char direction;
	unsigned char role;
	unsigned char from_start;      /* the connection is captured from its first byte */
	unsigned char family;
	unsigned char capped;          /* the bytes not captured are the part of a body beyond the cap */
	unsigned char padding[5];
	unsigned char local[16];
	unsigned char peer[16];
	char comm[16];
};

/* Counters of bytes that become no event; of events or calls if the name says so. */
enum counter {
	COUNT_SEEN = 0,            /* all bytes: in events, or in one other counter */
	COUNT_TABLE_FULL = 1,      /* no room for the connection */
	COUNT_RING_FULL = 2,       /* no room in the ring */
	COUNT_RING_FULL_EVENTS = 3, /* events that found no room */
	COUNT_UNIX_SOCKET = 4,
	COUNT_NOT_TCP = 5,
	COUNT_FILTERED = 6,        /* by port, process or cgroup, or the agent's own */
	COUNT_TLS_CIPHERTEXT = 7,
	COUNT_NOT_HTTP = 8,
	COUNT_TABLE_FULL_CALLS = 9, /* calls that found no room in a map, or gave way in it */
	COUNT_OPAQUE = 10,         /* after an upgrade, or in a tunnel without TLS */
	COUNT_SAMPLED_OUT = 11,    /* of connections left out while the agent cannot keep up */
	COUNTERS = 12,
};

/* Indices of the settings array, written by user space. */
enum setting {
	SETTING_DISABLED = 0,     /* not 0: every program returns at once */
	SETTING_OWN_NETNS = 1,    /* the network namespace of SETTING_OWN_PORT */
	SETTING_OWN_PORT = 2,     /* the analysis server's port, 0 for none */
	SETTING_ONLY_PORTS = 3,   /* not 0: only ports in `only_ports` */
	SETTING_ONLY_PROCESSES = 4, /* not 0: only pids in `only_pids` or names in `only_names` */
	SETTING_BODY_CAP = 5,     /* bytes copied of each body with a known end, 0 for all */
	SETTING_CGROUPS = 6,      /* number of `cgroups` in use */
	SETTING_ONLY_CGROUPS = 7, /* not 0: only processes in those that are not excluded */
	SETTING_PORTS = 8, /* not 0: ports are filtered, so bytes of unknown ports are not copied */
	SETTING_SAMPLE = 9, /* n above 1: one in n connections is captured */
	SETTING_POD_LEVELS = 10, /* a bit for each level at which `pod_cgroups` has entries */
	SETTING_ONLY_PODS = 11, /* not 0: only processes in a cgroup that `pod_cgroups` has as captured */
	SETTINGS = 12,
};

#endif
