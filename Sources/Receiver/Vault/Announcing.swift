import Logging

/// What a session's recording is called.
extension VaultWriter {
  /// Remembers device, path, metadata and writer; a whole recording moves to its new name at once.
  func announce(_ announcement: Announcement) throws(ReceiverError) -> SessionState {
    let state = try session(announcement.session)
    var isChanged = try state.admit(writer: announcement.writer)
    if let metadata = announcement.metadata, metadata != state.record.metadata {
      state.record.metadata = metadata
      isChanged = true
    }
    if let path = announcement.path, path != state.record.path {
      state.record.path = path
      state.record.mustPublish = state.record.whole != nil
      isChanged = true
    }
    if isChanged { try commit(state) }
    if state.record.mustPublish { try publish(state) }
    return state
  }
}
