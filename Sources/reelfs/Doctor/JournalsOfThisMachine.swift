import Foundation
import Spool
import UploadProtocol

/// The journals whose uploads must not be touched: of every running mount, and of every mount that keeps its state where
/// mounts do, running or not.
enum JournalsOfThisMachine {
  /// - Parameters:
  ///   - folder: a state directory, or a folder with one for each mount.
  ///   - destination: beginning of the destination that is looked at, as the mount table shows it.
  /// - Throws: when a running mount of this destination cannot be asked where it keeps its journal.
  static func paths(below folder: String, of destination: String) throws -> [String] {
    var states = [folder] + (((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().map { folder + "/\($0)/state" })
    for entry in try MountTable.current() where entry.type == MountTable.reelfsType {
      do { states.append(try MountRoot(path: entry.path).record().stateDirectory) } catch {
        // A dead mount, or another user's, that uploads elsewhere.
        if entry.source.hasPrefix(destination) { throw error }
      }
    }
    var paths: [String] = []
    for path in states.map({ $0 + "/journal.sqlite" }) where SystemFiles.mode(of: path) != nil && !paths.contains(path) {
      paths.append(path)
    }
    return paths
  }

  /// What `value` makes of the remote facts of each synced session that has one of this name.
  static func syncedFacts<Value>(
    named name: String, in paths: [String], _ value: (_ facts: [String: String], _ revision: Int64) -> [Value]
  ) throws -> [Value] {
    try paths.flatMap { path in
      do {
        return try Journal(reading: path).everyView().flatMap { journal in
          try journal.sessions(withRemoteFact: name).flatMap { session -> [Value] in
            guard let row = try journal.session(session), row.isSynced else { return [] }
            return value(try journal.remoteFacts(of: session), row.revision)
          }
        }
      } catch {
        throw CommandFailure("the journal \(path) cannot be read: \(error)")
      }
    }
  }

  /// What `value` makes of the remote facts of each session that has one of this name, and the journal it is in.
  /// - Throws: when a journal cannot be read: then nobody knows what it goes on with.
  static func remoteFacts<Value>(
    named name: String, in paths: [String], _ value: ([String: String]) -> Value?
  ) throws -> [(value: Value, journal: String)] {
    try paths.flatMap { path in
      do {
        return try Journal(reading: path).everyView().flatMap { journal in
          try journal.sessions(withRemoteFact: name).compactMap { session in
            value(try journal.remoteFacts(of: session)).map { ($0, path) }
          }
        }
      } catch {
        throw CommandFailure("the journal \(path) cannot be read, so nothing is ended: \(error)")
      }
    }
  }
}
