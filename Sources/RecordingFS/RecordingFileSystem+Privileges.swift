internal import Fuse
internal import Glibc
internal import Spool
internal import Synchronization
internal import SystemPackage

// The kernel leaves it to us to take set-user-id and set-group-id bits away when a file changes (FUSE_HANDLE_KILLPRIV_V2):
// in return it does not ask for security.capability before each write.
extension RecordingFileSystem {
  func notePrivileges(_ mode: UInt32, _ inode: UInt64) {
    guard mode & 0o6000 != 0, mode & UInt32(S_IFMT) == UInt32(S_IFREG) else { return }
    privileged.withLock { _ = $0.insert(inode) }
    hasPrivileged.store(true, ordering: .releasing)
  }

  func dropPrivileges(_ recording: Recording, _ context: RequestContext) {
    guard hasPrivileged.load(ordering: .acquiring), context.userID != 0,
      privileged.withLock({ $0.contains(recording.inode) }),
      let backing = try? Backing.status(recording.descriptor), backing.mode & 0o6000 != 0
    else { return }
    // Set-group-id without group execution meant mandatory locking, and stays if a member of the group writes (Linux 6.2).
    let goes = backing.mode & 0o010 != 0 || context.groupID != backing.groupID
    let cleared = backing.mode & ~0o4000 & (goes ? ~0o2000 : ~0)
    try? spool.tree.reading { () throws(SpoolError) in
      let (folder, path) = try spool.tree.locate(recording.inode)
      try Backing.changeMode(path, in: folder, mode: cleared & 0o7777)
    }
  }

  func forgetPrivileges(_ inode: UInt64) {
    guard hasPrivileged.load(ordering: .acquiring) else { return }
    privileged.withLock { privileged in
      privileged.remove(inode)
      hasPrivileged.store(!privileged.isEmpty, ordering: .releasing)
    }
  }
}
