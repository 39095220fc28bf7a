internal import CLinux
internal import Glibc
public import SystemPackage

/// Where a node lies, for the calls on extended attributes, which know no `at` form.
public struct BackingPlace: Sendable {
  let folder: FileDescriptor
  /// Of `folder`, absolute or relative to the working folder.
  let folderPath: [UInt8]
  let path: [UInt8]
}

// Extended attributes.
extension Backing {
  /// Name of the attribute that ties a backing file to its session, hidden in the mount.
  public static let sessionAttribute = "user.reelfs.session"

  /// Which chunks of a backing file are only at the destination (`ChunkSet.text`), hidden in the mount.
  static let evictedAttribute = "user.reelfs.evicted"

  public static func attribute(_ name: [UInt8], of place: BackingPlace) throws(SpoolError) -> [UInt8] {
    try allowed(place.path, in: place.folder, opens: true) { () throws(SpoolError) in
      try attributeBytes("getxattr") { bytes in
        with(place) { path in with(name) { lgetxattr(path, $0, bytes.baseAddress, bytes.count) } }
      }
    }
  }

  public static func attributeNames(of place: BackingPlace) throws(SpoolError) -> [[UInt8]] {
    try allowed(place.path, in: place.folder) { () throws(SpoolError) in
      try attributeBytes("listxattr") { bytes in
        with(place) { llistxattr($0, bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count) }
      }
    }.split(separator: 0).map(Array.init)
  }

  /// What `read` puts into a buffer. A small one at first: the kernel asks for an attribute of each new file before its first
  /// write, and both sides would clear 64 KiB for it.
  private static func attributeBytes(
    _ name: String, _ read: (UnsafeMutableRawBufferPointer) -> Int
  ) throws(SpoolError) -> [UInt8] {
    do {
      return try attributeBytes(name, max: 256, read)
    } catch .io(.outOfRange, _) {
      // XATTR_SIZE_MAX, XATTR_LIST_MAX: nothing is larger.
      return try attributeBytes(name, max: 65_536, read)
    }
  }

  private static func attributeBytes(
    _ name: String, max: Int, _ read: (UnsafeMutableRawBufferPointer) -> Int
  ) throws(SpoolError) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: max)
    let count = try call(name) { buffer.withUnsafeMutableBytes(read) }
    buffer.removeLast(max - count)
    return buffer
  }

  public static func setAttribute(_ name: [UInt8], _ value: [UInt8], flags: Int32, of place: BackingPlace)
    throws(SpoolError)
  {
    try allowed(place.path, in: place.folder, opens: true) { () throws(SpoolError) in
      try call("setxattr") {
        value.withUnsafeBytes { bytes in
          with(place) { path in with(name) { lsetxattr(path, $0, bytes.baseAddress, bytes.count, flags) } }
        }
      }
    }
  }

  public static func removeAttribute(_ name: [UInt8], of place: BackingPlace) throws(SpoolError) {
    try allowed(place.path, in: place.folder, opens: true) { () throws(SpoolError) in
      try call("removexattr") { with(place) { path in with(name) { lremovexattr(path, $0) } } }
    }
  }

  /// - Parameter flags: as of setxattr(2).
  static func setAttribute(_ name: String, _ value: String, flags: Int32 = 0, of file: FileDescriptor) throws(SpoolError) {
    try allowed([], in: file, opens: true) { () throws(SpoolError) in
      try call("setxattr") { fsetxattr(file.rawValue, name, value, value.utf8.count, flags) }
    }
  }

  public static func attribute(_ name: [UInt8], of file: FileDescriptor) throws(SpoolError) -> [UInt8] {
    try allowed([], in: file, opens: true) { () throws(SpoolError) in
      try attributeBytes("getxattr") { bytes in
        with(name) { fgetxattr(file.rawValue, $0, bytes.baseAddress, bytes.count) }
      }
    }
  }

  /// nil when the file has no such attribute, or its file system has none at all.
  static func attribute(_ name: String, of file: FileDescriptor) -> String? {
    let value = try? attribute(Array(name.utf8), of: file)
    return value.flatMap { $0.isEmpty ? nil : String(decoding: $0, as: UTF8.self) }
  }

  /// Lends the place's absolute path; of one that is longer than the kernel takes, one by way of an open folder.
  private static func with<T: SignedInteger>(_ place: BackingPlace, _ body: (UnsafePointer<CChar>) -> T) -> T {
    let path = place.folderPath + [UInt8(ascii: "/")] + place.path
    if path.count < Int(PATH_MAX) { return with(path, body) }
    return with(place.path, in: place.folder) { folder, rest in
      with(Array("/proc/self/fd/\(folder)/".utf8) + Array(UnsafeBufferPointer(start: rest, count: strlen(rest))).map {
        UInt8(bitPattern: $0)
      }, body)
    }
  }
}
