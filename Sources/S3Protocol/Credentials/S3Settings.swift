/// Everything that the AWS tools' variables and files say about a destination: pure, from what was read elsewhere.
///
/// A profile is what the credentials file says under `[name]`, then what the config file says under `[profile name]`
/// (`[default]` for the default one).
package struct S3Settings: Sendable {
  private let environment: [String: String]
  private let files: S3SettingsFiles
  private let profileName: String
  private let isProfileGiven: Bool
  private let profile: [String: String]

  /// - Parameters:
  ///   - environment: of the process; an empty variable counts as unset, as for the AWS tools.
  ///   - profileName: given by flag; nil: `AWS_PROFILE`, else `default`.
  /// - Throws: when a file cannot be understood, or has no profile of a name that somebody asked for.
  package init(
    environment: [String: String], files: S3SettingsFiles, profile named: String? = nil
  ) throws(S3ConfigurationError) {
    let environment = environment.filter { !$0.value.isEmpty }
    let asked = named ?? environment["AWS_PROFILE"] ?? environment["AWS_DEFAULT_PROFILE"]
    let name = asked ?? "default"
    let credentials = try files.credentials.map { file throws(S3ConfigurationError) in
      try ProfileFile(file.text, name: file.name).sections[name]
    }
    let config = try files.config.map { file throws(S3ConfigurationError) in
      let sections = try ProfileFile(file.text, name: file.name).sections
      return sections["profile " + name] ?? (name == "default" ? sections["default"] : nil)
    }
    let found = [credentials ?? nil, config ?? nil].compactMap { $0 }
    if asked != nil, found.isEmpty { throw .profileMissing(name, files: files.names(in: environment)) }
    self.environment = environment
    self.files = files
    self.profileName = name
    self.isProfileGiven = named != nil
    self.profile = found.reduce(into: [:]) { $0.merge($1) { first, _ in first } }.filter { !$0.value.isEmpty }
  }

  /// In this order: keys in the environment (unless a profile was asked for by flag, which is then whole), the profile.
  package func credentials() throws(S3ConfigurationError) -> S3Credentials {
    if !isProfileGiven,
      let found = try pair(
        environment, id: "AWS_ACCESS_KEY_ID", secret: "AWS_SECRET_ACCESS_KEY", token: "AWS_SESSION_TOKEN",
        place: "the environment")
    {
      return found
    }
    if let found = try pair(
      profile, id: "aws_access_key_id", secret: "aws_secret_access_key", token: "aws_session_token",
      place: "the AWS profile \"\(profileName)\"")
    {
      return found
    }
    for setting in Self.unsupported where profile[setting] != nil {
      throw .unsupportedProfile(profileName, setting: setting)
    }
    throw .noCredentials(looked: ["AWS_ACCESS_KEY_ID"] + files.names(in: environment))
  }

  /// - Parameter flag: given on the command line; nil: not.
  package func region(flag: String? = nil) throws(S3ConfigurationError) -> String {
    let region =
      flag ?? environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"] ?? profile["region"] ?? S3Region.fallback
    try S3Region.check(region)
    return region
  }

  /// - Parameter flag: `--s3-endpoint`; nil: not given.
  /// - Returns: nil: Amazon's.
  package func endpoint(flag: String? = nil) throws(S3ConfigurationError) -> S3Endpoint? {
    if let flag { return try S3Endpoint(flag) }
    if environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() == "true" { return nil }
    let text =
      environment["AWS_ENDPOINT_URL_S3"] ?? environment["AWS_ENDPOINT_URL"] ?? profile["s3.endpoint_url"]
      ?? profile["endpoint_url"]
    return try text.map { text throws(S3ConfigurationError) in try S3Endpoint(text) }
  }

  /// - Parameter flag: `auto`, `virtual` or `path`; nil: not given.
  /// - Returns: nil: to be chosen by the endpoint.
  package func style(flag: String? = nil) throws(S3ConfigurationError) -> S3Location.Style? {
    guard let text = flag ?? profile["s3.addressing_style"], text != "auto" else { return nil }
    guard let style = S3Location.Style(rawValue: text) else { throw .badStyle(text) }
    return style
  }

  private func pair(
    _ values: [String: String], id: String, secret: String, token: String, place: String
  ) throws(S3ConfigurationError) -> S3Credentials? {
    switch (values[id], values[secret]) {
    case (nil, nil): return nil
    case (_?, nil): throw .halfCredentials(place: place, missing: secret)
    case (nil, _?): throw .halfCredentials(place: place, missing: id)
    case (let key?, let secret?):
      return try S3Credentials(
        accessKeyID: key, secretAccessKey: secret, sessionToken: values[token], from: place)
    }
  }

  /// Ways to keys that need a program, a browser or another service.
  private static let unsupported = [
    "sso_session", "sso_start_url", "role_arn", "credential_process", "web_identity_token_file", "login_session",
  ]
}

/// The two files, as far as they exist.
package struct S3SettingsFiles: Sendable {
  package struct File: Sendable {
    package let name: String
    package let text: String

    package init(name: String, text: String) {
      self.name = name
      self.text = text
    }
  }

  package let credentials: File?
  package let config: File?

  package init(credentials: File? = nil, config: File? = nil) {
    self.credentials = credentials
    self.config = config
  }

  /// Where the files lie: whoever reads them asks here. nil without a home.
  package static func paths(in environment: [String: String]) -> (credentials: String?, config: String?) {
    func path(_ variable: String, _ name: String) -> String? {
      let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 }
      guard let given = environment[variable], !given.isEmpty else { return home.map { $0 + "/.aws/" + name } }
      guard given.hasPrefix("~/"), let home else { return given }
      return home + given.dropFirst(1)
    }
    return (path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), path("AWS_CONFIG_FILE", "config"))
  }

  func names(in environment: [String: String]) -> [String] {
    let paths = Self.paths(in: environment)
    return [credentials?.name ?? paths.credentials, config?.name ?? paths.config].compactMap { $0 }
  }
}
