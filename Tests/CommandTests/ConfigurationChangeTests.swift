import SyncStatus
import Testing
import UploadCore
import reelfs

@Suite("settings of a running mount")
struct ConfigurationChangeTests {
  private var old: MountConfiguration {
    MountConfiguration(
      destination: .embedded(data: "/data"), mountpoint: "/mnt/rec", stateDirectory: "/state", device: "studio")
  }

  @Test("what can change changes, what cannot stays, and both are named")
  func change() throws {
    var new = old
    new.policy.parallel = 8
    new.policy.bytesPerSecondMax = 1 << 20
    new.settle = .seconds(5)
    new.policy.roundLeast = .seconds(7)
    new.hooks.synced = try CommandTemplate("notify {path}")
    new.device = "attic"
    new.policy.uploadTimeout = .seconds(5)
    let change = ConfigurationChange(from: old, to: new)

    #expect(change.now == ["parallel", "limit", "settle", "on-synced"])
    #expect(change.later == ["upload-timeout", "device"])
    #expect(
      change.sentences == [
        "settings changed: parallel, limit, settle, on-synced", "takes effect at the next mount: upload-timeout, device",
      ])
    new.device = "studio"
    new.policy.uploadTimeout = .seconds(60)
    #expect(change.result == new)
  }

  @Test("without a difference nothing is said")
  func same() {
    let change = ConfigurationChange(from: old, to: old)
    #expect(change.isNothing && change.sentences.isEmpty && change.result == old)
  }

  @Test("every setting either changes at once, or at the next mount")
  func complete() {
    #expect(ConfigurationChange.unclassified.isEmpty, "\(ConfigurationChange.unclassified)")
  }
}
