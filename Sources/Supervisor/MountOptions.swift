/// What a mount is asked for at mount(2).
public struct MountOptions: Sendable {
  /// Other users than the one who mounts may use it (checked by the kernel by owner and mode). Unprivileged, this needs
  /// `user_allow_other` in /etc/fuse.conf.
  public var allowOther = false
  public var readOnly = false
  /// Shown as the device in the list of mounts.
  public var source = "reelfs"
  /// Shown as the type: `fuse.` and this.
  public var type = "reelfs"

  public init() {}
}
