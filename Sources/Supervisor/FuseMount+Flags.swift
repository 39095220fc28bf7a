extension FuseMount {
  /// Mounts for everybody (`allow_other`) or for the caller alone; `source` is what mount tables show.
  public static func mount(
    at mountpoint: String, allowOther: Bool, source: String, say: (String) -> Void
  ) throws(MountError) -> FuseMount {
    var options = MountOptions()
    options.allowOther = allowOther
    options.source = source
    return try mount(at: mountpoint, options: options, say: say)
  }
}
