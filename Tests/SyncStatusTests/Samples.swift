import SyncStatus
import UploadProtocol

/// 2026-11-22T11:19:14.5Z
let noon = 1_795_346_354.5

func recording(
  _ path: String, _ state: SyncState = .uploading, written: Int64 = 20 << 20, synced: Int64 = 9 << 20,
  session: Int64 = 1
) -> RecordingStatus {
  var status = RecordingStatus(state: state, path: Array(path.utf8), destination: "http://nas:8090")
  status.session = SessionID(number: session)
  status.recordings = 1
  status.bytesWritten = written
  status.bytesSynced = synced
  status.syncedThrough = synced
  status.chunksTotal = ChunkLayout.chunkCount(size: min(written, 1 << 50))
  status.chunksSynced = Int(synced >> 20)
  return status
}

func overall(_ recordings: [RecordingStatus], _ connection: DestinationState = .online) -> OverallStatus {
  var sum = DirectoryStatus(path: [], destination: "http://nas:8090")
  for recording in recordings { sum.add(recording) }
  return OverallStatus(time: noon, total: sum.status, counts: sum.counts, connection: connection)
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
