/* Filters of capture: settings and filters written by user space, and counters that it reads. */

static inline u64 setting(int index)
{
	KEY(key, index);
	u64 *value = settings.lookup(key);
	return value ? *value : 0;
}

static inline void count(int index, u64 amount)
{
	KEY(key, index);
	u64 *value = counters.lookup(key);
	if (value) /* a uprobe can be preempted by another one on its CPU */
		__sync_fetch_and_add(value, amount);
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

/* Whether the innermost cgroup that `pod_cgroups` has, of those that the process is in, is captured. */
static inline int pod_is_watched(u64 levels)
{
	for (int level = POD_LEVELS_MAX - 1; level > 0; level--) {
		u64 id;
		u8 *choice;
		if (!(levels >> level & 1))
			continue;
		id = bpf_get_current_ancestor_cgroup_id(level);
		choice = pod_cgroups.lookup(&id);
		if (choice)
			return *choice == POD_CAPTURED;
	}
	return !setting(SETTING_ONLY_PODS);
}

static inline int process_is_watched(u32 tgid)
{
	struct name name = {};
	u64 levels = setting(SETTING_POD_LEVELS);
	if (except_pids.lookup(&tgid))
		return 0;
	if (setting(SETTING_CGROUPS) && !cgroup_is_watched())
		return 0;
	if ((levels || setting(SETTING_ONLY_PODS)) && !pod_is_watched(levels))
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

/* Whether a connection is left out of the sample, by its ports, so that both ends decide alike. One whose ends are not
 * known is captured. */
static inline int is_sampled_out(struct tuple *tuple)
{
	u32 one_in = setting(SETTING_SAMPLE), local = tuple->local_port, peer = tuple->peer_port;
	if (one_in < 2 || !tuple->family)
		return 0;
	/* Ephemeral ports often differ by 2: multiplying (Knuth's constant) spreads them over the upper bits. */
	return (((local + peer) ^ (local * peer)) * 2654435761u >> 16) % one_in != 0;
}
