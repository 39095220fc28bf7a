import S3Protocol
import Testing

@Suite("credentials and settings")
struct SettingsTests {
  private static let credentials = """
    # my keys
    [default]
    aws_access_key_id = DEFAULT
    aws_secret_access_key = secret/with+signs=   ; not a comment of the key

    [ studio ]
    AWS_ACCESS_KEY_ID=STUDIO
    aws_secret_access_key=s2#x
    aws_session_token = token==
    [half]
    aws_access_key_id = HALF
    """
  private static let config = """
    [default]
    region = eu-west-1
    s3 =
        addressing_style = path
        endpoint_url = http://nas:9000
    [profile studio]
    region = eu-central-1
    aws_access_key_id = NOT-THIS-ONE
    [profile work]
    sso_session = corp
    [sso-session corp]
    sso_region = us-east-1
    """

  @Test("keys in the environment come first, also before AWS_PROFILE")
  func environment() throws {
    let found = try settings([
      "AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_PROFILE": "studio",
    ]).credentials()
    #expect(found == (try S3Credentials(accessKeyID: "ENV", secretAccessKey: "s", sessionToken: "t", from: "")))
  }

  @Test("a profile given by flag comes before keys in the environment")
  func flag() throws {
    let keys = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"]
    #expect(try settings(keys, profile: "studio").credentials().accessKeyID == "STUDIO")
  }

  @Test("the default profile, a named one, session tokens, comments and spaces")
  func profiles() throws {
    let plain = try settings([:]).credentials()
    #expect(plain == (try S3Credentials(accessKeyID: "DEFAULT", secretAccessKey: "secret/with+signs=", from: "")))
    let studio = try settings(["AWS_PROFILE": "studio", "AWS_ACCESS_KEY_ID": ""]).credentials()
    #expect(
      studio == (try S3Credentials(accessKeyID: "STUDIO", secretAccessKey: "s2#x", sessionToken: "token==", from: "")))
  }

  @Test("region: flag, AWS_REGION, AWS_DEFAULT_REGION, profile, us-east-1")
  func regions() throws {
    let both = ["AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"]
    #expect(try settings(both).region(flag: "c") == "c")
    #expect(try settings(both).region() == "a")
    #expect(try settings(["AWS_REGION": "", "AWS_DEFAULT_REGION": "b"]).region() == "b")
    #expect(try settings([:]).region() == "eu-west-1")
    #expect(try settings(["AWS_PROFILE": "studio"]).region() == "eu-central-1")
    #expect(try S3Settings(environment: [:], files: S3SettingsFiles()).region() == "us-east-1")
    #expect(throws: S3ConfigurationError.badRegion("a b")) { try settings([:]).region(flag: "a b") }
  }

  @Test("endpoint and style: flag, variables, profile")
  func endpoints() throws {
    let both = ["AWS_ENDPOINT_URL_S3": "http://a", "AWS_ENDPOINT_URL": "http://b"]
    #expect(try settings(both).endpoint(flag: "http://c")?.description == "http://c")
    #expect(try settings(both).endpoint()?.description == "http://a")
    #expect(try settings(["AWS_ENDPOINT_URL": "http://b"]).endpoint()?.description == "http://b")
    #expect(try settings([:]).endpoint()?.description == "http://nas:9000")
    #expect(try settings(["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"]).endpoint() == nil)
    #expect(try settings(["AWS_PROFILE": "studio"]).endpoint() == nil)
    #expect(try settings([:]).style() == .path)
    #expect(try settings([:]).style(flag: "virtual") == .virtualHost)
    #expect(try settings([:]).style(flag: "auto") == nil)
    #expect(throws: S3ConfigurationError.badStyle("host")) { try settings([:]).style(flag: "host") }
  }

  @Test("what is missing is said in a sentence")
  func complaints() throws {
    #expect(throws: S3ConfigurationError.halfCredentials(place: "the environment", missing: "AWS_SECRET_ACCESS_KEY")) {
      try settings(["AWS_ACCESS_KEY_ID": "A"]).credentials()
    }
    #expect(
      throws: S3ConfigurationError.halfCredentials(
        place: "the AWS profile \"half\"", missing: "aws_secret_access_key")
    ) { try settings(["AWS_PROFILE": "half"]).credentials() }
    #expect(throws: S3ConfigurationError.unsupportedProfile("work", setting: "sso_session")) {
      try settings(["AWS_PROFILE": "work"]).credentials()
    }
    #expect(throws: S3ConfigurationError.profileMissing("nobody", files: ["/h/.aws/credentials", "/h/.aws/config"])) {
      try settings(["AWS_PROFILE": "nobody", "HOME": "/h"])
    }
    let nothing = try S3Settings(environment: ["HOME": "/h"], files: S3SettingsFiles())
    #expect(
      throws: S3ConfigurationError.noCredentials(
        looked: ["AWS_ACCESS_KEY_ID", "/h/.aws/credentials", "/h/.aws/config"])
    ) { try nothing.credentials() }
    #expect(throws: S3ConfigurationError.unusableCredential(place: "the environment", name: "the secret access key")) {
      try settings(["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "a\nb: c"]).credentials()
    }
  }

  @Test("files lie where the variables say, else below the home")
  func paths() {
    let home = S3SettingsFiles.paths(in: ["HOME": "/h"])
    #expect(home.credentials == "/h/.aws/credentials" && home.config == "/h/.aws/config")
    let given = S3SettingsFiles.paths(in: [
      "HOME": "/h", "AWS_SHARED_CREDENTIALS_FILE": "/run/keys", "AWS_CONFIG_FILE": "~/aws",
    ])
    #expect(given.credentials == "/run/keys" && given.config == "/h/aws")
    #expect(S3SettingsFiles.paths(in: [:]).credentials == nil)
  }

  @Test("a line that cannot be read is named", arguments: [
    ("x = 1", 1, "a setting before the first [section]"), ("[a]\n\n[b\n", 3, "a section begins with [ and ends with ]"),
    ("[a]\r\nnonsense", 2, "expected name = value"),
  ])
  func badFiles(text: String, line: Int, reason: String) {
    #expect(throws: S3ConfigurationError.badProfileFile(file: "keys", line: line, reason)) {
      try ProfileFile(text, name: "keys")
    }
  }

  private func settings(_ environment: [String: String], profile: String? = nil) throws -> S3Settings {
    try S3Settings(
      environment: environment,
      files: S3SettingsFiles(
        credentials: .init(name: "/h/.aws/credentials", text: Self.credentials),
        config: .init(name: "/h/.aws/config", text: Self.config)),
      profile: profile)
  }
}
