import Glibc

/// What this machine must offer before anything can be mounted.
package enum MachineChecks {
  static func all() -> [Finding] {
    [device(), fusermount(), allowOther(), kernel(release: release())] + mounts()
  }

  private static func device() -> Finding {
    let path = "/dev/fuse"
    guard SystemFiles.mode(of: path) != nil else {
      return Finding(
        .bad, path, "there is none",
        mend: "modprobe fuse; in a container: run it with --device /dev/fuse --cap-add SYS_ADMIN")
    }
    guard access(path, R_OK | W_OK) == 0 else {
      return Finding(.bad, path, "not readable and writable for you", mend: "chmod 666 /dev/fuse (as root)")
    }
    return Finding(.ok, path, "there, and open to you")
  }

  private static func fusermount() -> Finding {
    if let path = search("fusermount3") {
      if geteuid() == 0 { return Finding(.ok, "fusermount3", path) }
      guard let facts = SystemFiles.mode(of: path), facts.mode & S_ISUID != 0, facts.owner == 0 else {
        return Finding(
          .bad, "fusermount3", "\(path) is not set-user-id root, so only root can mount",
          mend: "chown root \(path) && chmod u+s \(path) (as root), or reinstall fuse3")
      }
      return Finding(.ok, "fusermount3", path)
    }
    if geteuid() == 0 {
      return Finding(
        .warn, "fusermount3", "missing; root mounts without it, other users cannot", mend: "apt install fuse3")
    }
    return Finding(.bad, "fusermount3", "missing, and only root mounts without it", mend: "apt install fuse3")
  }

  private static func allowOther() -> Finding {
    let subject = "-o allow_other"
    if geteuid() == 0 { return Finding(.ok, subject, "allowed: you are root") }
    // A few lines; the limit only keeps a wrong file from filling memory.
    let text = (try? SystemFiles.read("/etc/fuse.conf", bytesMax: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
    return allowOther(configuration: text ?? "")
  }

  package static func allowOther(configuration: String) -> Finding {
    let lines = configuration.split(separator: "\n").map { line in
      String(line.prefix { $0 != "#" }).split { $0 == " " || $0 == "\t" }.joined()
    }
    if lines.contains("user_allow_other") { return Finding(.ok, "-o allow_other", "allowed by /etc/fuse.conf") }
    return Finding(
      .warn, "-o allow_other", "not allowed to you: only you will see your mounts",
      mend: "add the line user_allow_other to /etc/fuse.conf (as root), if other users must record too")
  }

  private static func release() -> String {
    var name = utsname()
    guard uname(&name) == 0 else { return "" }
    return withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// `release` as uname gives it, such as `6.12.9-amd64`.
  package static func kernel(release: String) -> Finding {
    let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
    guard numbers.count == 2 else {
      return Finding(.warn, "kernel", "version \"\(release)\" is not understood")
    }
    if (numbers[0], numbers[1]) >= (6, 9) {
      return Finding(.ok, "kernel", "\(release): requests survive the death of the worker")
    }
    return Finding(
      .warn, "kernel", "\(release): before 6.9, requests that are running when the worker dies fail",
      mend: "use a kernel of 6.9 or later where a recorder must not see an error even then")
  }

  private static func mounts() -> [Finding] {
    guard let entries = try? MountTable.current() else {
      return [Finding(.bad, "mounts", "/proc/self/mountinfo cannot be read", mend: "mount /proc")]
    }
    let ours = entries.filter { $0.type == MountTable.reelfsType }.map(\.path)
    let pulses = MountPulse.of(ours) { $0 }
    let (dead, silent) = (pulses.filter { $1 == .dead }.map(\.0), pulses.filter { $1 == .silent }.map(\.0))
    var findings: [Finding] = []
    if let first = dead.first {
      findings.append(
        Finding(
          .bad, "mounts", "dead: " + dead.joined(separator: ", "),
          mend: "reelfs unmount \(first), then mount it again: nothing that was written is lost"))
    }
    if !silent.isEmpty {
      findings.append(
        Finding(
          .bad, "mounts", "no answer: " + silent.joined(separator: ", "),
          mend: "look whether its processes are stopped, or wait for a disk that does not answer (ps shows T or D)"))
    }
    return findings.isEmpty ? [Finding(.ok, "mounts", "\(ours.count) running, none dead")] : findings
  }

  private static func search(_ program: String) -> String? {
    let path = Environment.variables(["PATH"])["PATH"] ?? "/usr/bin:/bin"
    for folder in path.split(separator: ":") {
      let candidate = "\(folder)/\(program)"
      if access(candidate, X_OK) == 0 { return candidate }
    }
    return nil
  }
}
