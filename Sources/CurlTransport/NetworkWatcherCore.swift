import CLinux
import Glibc
import Synchronization

/// What the watcher's thread runs. Descriptors are opened by the maker and closed when the last owner is gone.
final class NetworkWatcherCore: Sendable {
  /// Rest after a call of `onChange`; what comes meanwhile makes one call afterwards.
  private static let restMilliseconds: Int32 = 1_000

  private let messages: Int32
  /// An eventfd: readable once the watch is to end.
  private let ending: Int32
  private let isStopped = Atomic<Bool>(false)
  private let onChange: @Sendable () -> Void

  init(onChange: @escaping @Sendable () -> Void) throws(NetworkWatcherError) {
    let messages = try Self.openMessages()
    let ending = eventfd(0, Int32(EFD_CLOEXEC))
    guard ending >= 0 else {
      let code = errno
      close(messages)
      throw NetworkWatcherError(call: "eventfd", code: code)
    }
    self.messages = messages
    self.ending = ending
    self.onChange = onChange
  }

  deinit {
    close(messages)
    close(ending)
  }

  /// - Returns: whether this was the first request.
  func requestStop() -> Bool {
    guard !isStopped.exchange(true, ordering: .sequentiallyConsistent) else { return false }
    eventfd_write(ending, 1)
    return true
  }

  func run() {
    var links = LinkTable()
    while true {
      guard waits(for: [messages, ending], milliseconds: -1), !isStopped.load(ordering: .acquiring) else { return }
      guard takeMessages(&links) else { continue }
      onChange()
      if waits(for: [ending], milliseconds: Self.restMilliseconds) { return }
    }
  }

  /// - Returns: whether one of them is readable; false when the time is over.
  private func waits(for descriptors: [Int32], milliseconds: Int32) -> Bool {
    var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while true {
      let count = poll(&polled, nfds_t(polled.count), milliseconds)
      if count >= 0 { return count > 0 }
      guard errno == EINTR else { return false }
    }
  }

  /// Reads all that is there. - Returns: whether something came up.
  private func takeMessages(_ links: inout LinkTable) -> Bool {
    var isUp = false
    // The kernel's own largest message; longer ones would be cut off.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      let count = recv(messages, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
      if count > 0 {
        let batch = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        if links.take(batch) { isUp = true }
      } else if count < 0, errno == ENOBUFS {
        // Messages were lost: something changed that we cannot know.
        isUp = true
      } else if count == 0 || errno != EINTR {
        return isUp
      }
    }
  }

  private static func openMessages() throws(NetworkWatcherError) -> Int32 {
    let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(AF_NETLINK, type, NETLINK_ROUTE)
    guard descriptor >= 0 else { throw NetworkWatcherError(call: "socket", code: errno) }
    var address = sockaddr_nl()
    address.nl_family = sa_family_t(AF_NETLINK)
    address.nl_groups = UInt32(
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE)
    let length = socklen_t(MemoryLayout<sockaddr_nl>.size)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
    }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      throw NetworkWatcherError(call: "bind", code: code)
    }
    return descriptor
  }
}

/// Which interfaces run. Wireless drivers repeat `RTM_NEWLINK` for each scan, so only a change counts.
struct LinkTable {
  /// As many as the machine has interfaces: removed when one stops or goes.
  private var running: Set<Int32> = []

  /// - Returns: whether a message of this batch says that an interface, an address or a route came up.
  mutating func take(_ batch: UnsafeRawBufferPointer) -> Bool {
    let headerBytes = Self.aligned(MemoryLayout<nlmsghdr>.size)
    var isUp = false
    var offset = 0
    while offset + headerBytes <= batch.count {
      let header = batch.loadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
      let length = Int(header.nlmsg_len)
      guard length >= headerBytes, offset + length <= batch.count else { break }
      let body = UnsafeRawBufferPointer(rebasing: batch[offset + headerBytes..<offset + length])
      switch Int(header.nlmsg_type) {
      case RTM_NEWADDR, RTM_NEWROUTE: isUp = true
      case RTM_NEWLINK: if takeLink(body) { isUp = true }
      case RTM_DELLINK: forgetLink(body)
      default: break
      }
      offset += Self.aligned(length)
    }
    return isUp
  }

  private mutating func takeLink(_ body: UnsafeRawBufferPointer) -> Bool {
    guard body.count >= MemoryLayout<ifinfomsg>.size else { return false }
    let link = body.loadUnaligned(as: ifinfomsg.self)
    guard link.ifi_flags & UInt32(IFF_RUNNING) != 0 else {
      running.remove(link.ifi_index)
      return false
    }
    return running.insert(link.ifi_index).inserted
  }

  private mutating func forgetLink(_ body: UnsafeRawBufferPointer) {
    guard body.count >= MemoryLayout<ifinfomsg>.size else { return }
    running.remove(body.loadUnaligned(as: ifinfomsg.self).ifi_index)
  }

  private static func aligned(_ count: Int) -> Int { (count + 3) & ~3 }
}
