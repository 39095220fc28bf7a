import SyncStatus
import UploadCore
import UploadProtocol

/// Checks settings and turns them into a `MountConfiguration`. Every complaint names the flag, the variable or the line
/// that the value came from, and what is allowed.
package struct MountConfigurationReader {
  let settings: Settings
  let environment: [String: String]
  /// Folder against which relative paths count.
  let workingDirectory: String
  let hostName: String

  package init(settings: Settings, environment: [String: String], workingDirectory: String, hostName: String) {
    self.settings = settings
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.hostName = hostName
  }

  package func configuration(mountpoint: String) throws(CommandFailure) -> MountConfiguration {
    let mountpoint = absolute(mountpoint)
    let state =
      try path(.stateDir) ?? StateLocation.stateDirectory(mountpoint: mountpoint, environment)
    let data = try path(.recordingsData) ?? StateLocation.recordingsData(stateDirectory: state)
    try refuseInside(mountpoint, state, settings[.stateDir]?.origin ?? "the state directory")
    try refuseInside(mountpoint, data, settings[.recordingsData]?.origin ?? "the embedded receiver's data")
    var configuration = MountConfiguration(
      destination: try destination(data: data), mountpoint: mountpoint, stateDirectory: state, device: try device())
    configuration.also = try also(configuration.destination)
    configuration.policy = try policy()
    try readSpool(into: &configuration)
    try readSteering(into: &configuration)
    try readAlarms(into: &configuration)
    try readConnection(into: &configuration)
    try readMount(into: &configuration)
    return configuration
  }

  // MARK: parts

  private func destination(data: String) throws(CommandFailure) -> Destination {
    let endpoint = try value(.s3Endpoint) { text throws(TextError) in try ReceiverAddress(text) }
    let given = try value(.destination) { text throws(TextError) in try Destination(text, s3Endpoint: endpoint) }
    if let endpoint = settings[.s3Endpoint] {
      let isForOther = settings[.also]?.text.contains("s3://") ?? false
      guard given?.isS3 == true || isForOther else { throw complaint(endpoint, "belongs to a destination s3://bucket/prefix") }
    }
    return given ?? .embedded(data: data)
  }

  private func also(_ first: Destination) throws(CommandFailure) -> [FurtherDestination] {
    let endpoint = try value(.s3Endpoint) { text throws(TextError) in try ReceiverAddress(text) }
    guard let given = settings[.also] else { return [] }
    var names: Set = [first.description]
    var further: [FurtherDestination] = []
    for line in given.text.split(separator: "\n") {
      let (text, file) = FurtherDestination.split(String(line))
      let destination: Destination
      do throws(TextError) { destination = try Destination(text, s3Endpoint: endpoint) } catch {
        throw complaint(given, error.message)
      }
      guard names.insert(destination.description).inserted else {
        throw complaint(given, "\(destination.description) is given twice: each destination gets every recording once")
      }
      let tokenFile = file.map(absolute)
      do throws(CommandFailure) {
        further.append(
          FurtherDestination(destination: destination, tokenFile: tokenFile, token: try tokenFile.map(TokenFile.read)))
      } catch { throw CommandFailure("\(given.origin): \(error.message)") }
    }
    guard further.count <= FurtherDestination.countMax else {
      throw complaint(
        given, "\(further.count) further destinations are too many: at most \(FurtherDestination.countMax), for each takes "
          + "connections and memory, and recordings stay on this disk until the slowest has them")
    }
    return further
  }

  private func policy() throws(CommandFailure) -> UploadPolicy {
    var policy = UploadPolicy()
    if let span = try span(.uploadTimeout, 1...3_600) { policy.uploadTimeout = span }
    if let span = try span(.retryInitial, 0.05...3_600) { policy.retryInitial = span }
    if let span = try span(.retryMax, 0.05...86_400) { policy.retryMax = span }
    guard policy.retryInitial <= policy.retryMax else {
      let place = settings[.retryMax] ?? settings[.retryInitial]
      throw CommandFailure("\(place?.origin ?? "--retry-max"): --retry-initial must not be longer than --retry-max")
    }
    if let count = try count(.maxConsecutiveFailures, 1...1_000) { policy.maxConsecutiveFailures = count }
    if let span = try span(.connectionCheckInterval, 0.5...3_600) { policy.connectionCheckInterval = span }
    if let count = try count(.parallel, 1...64) { policy.parallel = count }
    policy.bytesPerSecondMax =
      try value(.limit) { text throws(TextError) -> Int? in try ByteSize.parseRate(text) } ?? nil
    let chunk = try value(.chunkSize) { text throws(TextError) in try ByteSize.parse(text) }
    if let chunk, let place = settings[.chunkSize], chunk != Int64(ChunkLayout.chunkBytes) {
      throw complaint(place, "only 1MiB is possible: it is the size that every receiver and proxy takes")
    }
    return policy
  }

  private func readSpool(into configuration: inout MountConfiguration) throws(CommandFailure) {
    if let quota = try value(.spoolQuota, { text throws(TextError) in try ByteSize.parse(text) }) {
      // Below this the chunks in flight and those being written would leave no room.
      guard quota >= 16 << 20 else { throw complaint(settings[.spoolQuota], "the least is 16M") }
      configuration.spoolQuota = quota
    }
    let keep = try value(.keepLocal) { text throws(TextError) -> MountConfiguration.KeepLocal in
      if text == "all" { return .all }
      let seconds: Double
      do throws(TextError) { seconds = try DurationText.parse(text) } catch {
        throw TextError("\"\(text)\" is neither a time such as 2h nor the word all")
      }
      return seconds == 0 ? .whileThereIsRoom : .seconds(seconds)
    }
    if let keep { configuration.keepLocal = keep }
    if let span = try span(.settle, 0...60) { configuration.settle = span }
    if let span = try span(.maxLag, 0.5...3_600) { configuration.maxLag = span }
    if let word: MountConfiguration.SynchronizeTo = try word(.fsync) { configuration.synchronizeTo = word }
  }

  private func readSteering(into configuration: inout MountConfiguration) throws(CommandFailure) {
    configuration.limitSchedule = try value(.limitSchedule) { text throws(TextError) in
      text == "off" ? nil : try LimitSchedule(text)
    } ?? nil
    if let schedule = settings[.limitSchedule], configuration.limitSchedule != nil, configuration.policy.bytesPerSecondMax != nil {
      throw complaint(schedule, "a limit by the time of day and --limit exclude each other")
    }
    if settings[.syncEvery]?.text != "off" { configuration.policy.syncEvery = try span(.syncEvery, 10...86_400) }
    if let every = settings[.syncEvery], configuration.policy.syncEvery != nil, configuration.synchronizeTo == .remote {
      throw complaint(every, "fsync() would wait for the next round: leave it out, or --fsync remote")
    }
    // What was closed just before a round is finished by then, and goes along.
    configuration.policy.roundLeast = configuration.settle + .seconds(2)
    configuration.pausesOnMetered = try isOn(.pauseOnMetered)
  }

  private func readAlarms(into configuration: inout MountConfiguration) throws(CommandFailure) {
    configuration.hooks.synced = try command(.onSynced)
    configuration.hooks.failed = try command(.onFailed)
    configuration.heartbeatURL = try value(.heartbeatURL) { text throws(TextError) in
      guard text != "none" else { return nil }
      // The rest is libcurl's to judge.
      guard text.hasPrefix("http://") || text.hasPrefix("https://"), text.utf8.allSatisfy({ 0x21...0x7e ~= $0 }) else {
        throw TextError("\"\(text)\" is not an address: write http://… or https://…, or none")
      }
      return text
    } ?? nil
    if let span = try span(.stallAfter, 0...86_400) { configuration.stallAfter = span == .zero ? nil : span }
    if let word: MountConfiguration.Notify = try word(.notify) { configuration.notifiesDesktop = word == .auto }
  }

  private func command(_ setting: Setting) throws(CommandFailure) -> CommandTemplate? {
    try value(setting) { text throws(TextError) in text == "none" ? nil : try CommandTemplate(text) } ?? nil
  }

  private func readConnection(into configuration: inout MountConfiguration) throws(CommandFailure) {
    if let word: MountConfiguration.Compression = try word(.compress) { configuration.compression = word }
    if configuration.compression != .none {
      guard case .receiver = configuration.destination else {
        throw complaint(settings[.compress], "only a receiver at http:// or https:// takes compressed chunks: leave it out")
      }
    }
    configuration.caFile = try path(.caFile)
    if let file = try path(.tokenFile) {
      configuration.tokenFile = file
      do throws(CommandFailure) { configuration.token = try TokenFile.read(file) } catch {
        throw CommandFailure("\(settings[.tokenFile]?.origin ?? "--token-file"): \(error.message)")
      }
    }
  }

  private func readMount(into configuration: inout MountConfiguration) throws(CommandFailure) {
    let fuse = try value(.mountOptions) { text throws(TextError) -> FuseOptions in
      var fuse = FuseOptions()
      try fuse.add(text)
      return fuse
    }
    if let fuse { configuration.fuse = fuse }
    configuration.hidesAttributes = try isOn(.hideXattrs)
    configuration.hidesStatus = try isOn(.hideStatus)
    configuration.propagatesDeletes = try isOn(.propagateDeletes)
    configuration.runsAsDaemon = try isOn(.daemon)
    let page = try value(.web) { text throws(TextError) -> PageAddress? in
      text == "none" ? nil : try PageAddress(text)
    }
    if let page { configuration.page = page }
  }

  private func device() throws(CommandFailure) -> String {
    guard let given = settings[.device] else {
      let name = hostName.prefix { $0 != "." }.filter(Self.isDeviceCharacter)
      return name.isEmpty || name.first == "." ? "reelfs" : String(name.prefix(64))
    }
    guard (1...64).contains(given.text.utf8.count), given.text.allSatisfy(Self.isDeviceCharacter),
      given.text.first != "."
    else {
      throw complaint(
        given, "a device's name has 1 to 64 letters, digits, dashes, underscores or dots, not first a dot")
    }
    return given.text
  }

  private static func isDeviceCharacter(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
  }

  private func refuseInside(_ mountpoint: String, _ folder: String, _ origin: String) throws(CommandFailure) {
    guard !MountTable.contains(mountpoint, folder), !MountTable.contains(folder, mountpoint) else {
      throw CommandFailure("\(origin): \(folder) and the mount point \(mountpoint) must not lie in each other")
    }
  }

  // MARK: kinds of values

  private func value<Value>(
    _ setting: Setting, _ parse: (String) throws(TextError) -> Value
  ) throws(CommandFailure) -> Value? {
    guard let given = settings[setting] else { return nil }
    do throws(TextError) { return try parse(given.text) } catch { throw complaint(given, error.message) }
  }

  private func span(_ setting: Setting, _ allowed: ClosedRange<Double>) throws(CommandFailure) -> Span? {
    try value(setting) { text throws(TextError) in
      let seconds = try DurationText.parse(text)
      guard allowed.contains(seconds) else {
        throw TextError("\(text) is out of range: \(plain(allowed.lowerBound)) to \(plain(allowed.upperBound)) seconds")
      }
      return Span(nanoseconds: Int64(seconds * 1e9))
    }
  }

  private func count(_ setting: Setting, _ allowed: ClosedRange<Int>) throws(CommandFailure) -> Int? {
    try value(setting) { text throws(TextError) in
      guard let number = Int(text), allowed.contains(number) else {
        throw TextError("\"\(text)\" must be a number from \(allowed.lowerBound) to \(allowed.upperBound)")
      }
      return number
    }
  }

  private func word<Word: RawRepresentable & CaseIterable>(_ setting: Setting) throws(CommandFailure) -> Word?
  where Word.RawValue == String {
    try value(setting) { text throws(TextError) in
      guard let word = Word(rawValue: text) else {
        throw TextError("\"\(text)\" must be \(Word.allCases.map(\.rawValue).joined(separator: " or "))")
      }
      return word
    }
  }

  private func isOn(_ setting: Setting) throws(CommandFailure) -> Bool {
    try value(setting) { text throws(TextError) in
      switch text.lowercased() {
      case "true", "yes", "on", "1": return true
      case "false", "no", "off", "0": return false
      default: throw TextError("\"\(text)\" must be true or false")
      }
    } ?? false
  }

  private func path(_ setting: Setting) throws(CommandFailure) -> String? {
    guard let given = settings[setting] else { return nil }
    guard !given.text.isEmpty else { throw complaint(given, "must not be empty") }
    return absolute(given.text)
  }

  /// Without looking at the disk: `.` and empty components go, `..` takes its parent along.
  private func absolute(_ path: String) -> String {
    let whole = path.hasPrefix("/") ? path : workingDirectory + "/" + path
    var parts: [Substring] = []
    for part in whole.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }

  private func plain(_ number: Double) -> String {
    number == number.rounded() ? String(Int64(number)) : String(number)
  }

  private func complaint(_ value: SettingValue?, _ message: String) -> CommandFailure {
    CommandFailure("\(value?.origin ?? "a setting"): \(message)")
  }
}
