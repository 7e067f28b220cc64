//! The size of what this process runs on, as whoever compares two regions wants to see it.

use std::fs;
use std::thread;

/// How many cores, and how much memory: what its control group may use, or else what the machine has. None where the
/// system does not say.
pub fn size() -> Option<String> {
    let cores = thread::available_parallelism().ok()?.get();
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let bytes = memory(&fs::read_to_string("/proc/meminfo").ok()?, limit.as_deref())?;
    let tenths = bytes.saturating_mul(10) >> 30;
    let plural = if cores == 1 { "" } else { "s" };
    Some(format!("{cores} core{plural}, {}.{} GiB", tenths / 10, tenths % 10))
}

/// The smaller of what proc(5) has as `MemTotal` and of a control group's limit, in bytes.
fn memory(meminfo: &str, limit: Option<&str>) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total = total.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)?;
    let limit = limit.and_then(|limit| limit.trim().parse::<u64>().ok());
    Some(limit.map_or(total, |limit| limit.min(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_may_be_used() {
        let meminfo = "MemFree:  12 kB\nMemTotal:       4194304 kB\nBuffers: 0 kB\n";
        assert_eq!(memory(meminfo, None), Some(4 << 30));
        assert_eq!(memory(meminfo, Some("max\n")), Some(4 << 30), "a group without a limit");
        assert_eq!(memory(meminfo, Some("1073741824\n")), Some(1 << 30));
        assert_eq!(memory("MemFree: 1 kB\n", Some("max")), None);
    }
}
