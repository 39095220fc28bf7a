internal import Crypto
internal import HTTPTypes
public import Hummingbird
internal import NIOCore

/// The files of a page, as they lie in `Pages/`: compiled into the program, served as they are.
public struct PageAssets: Sendable {
  private struct Asset: Sendable {
    let bytes: ByteBuffer
    let type: String
    let tag: String
  }

  private let assets: [String: Asset]

  /// - Parameter files: by the path under which each is served.
  private init(_ files: [String: [UInt8]]) {
    var assets: [String: Asset] = [:]
    for (path, bytes) in files {
      let digest = SHA256.hash(data: bytes).prefix(8).map { String($0, radix: 16) }.joined(separator: ".")
      assets[path] = Asset(bytes: ByteBuffer(bytes: bytes), type: Self.type(of: path), tag: "\"\(digest)\"")
    }
    self.assets = assets
  }

  /// The page of a mount.
  public static let mount = PageAssets([
    "/": PackageResources.mount_html, "/mount.js": PackageResources.mount_js, "/chart.js": PackageResources.chart_js,
    "/common.js": PackageResources.common_js, "/page.css": PackageResources.page_css,
    "/icon.svg": PackageResources.icon_svg,
  ])

  /// The page of a receiver.
  public static let receiver = PageAssets([
    "/": PackageResources.receiver_html, "/receiver.js": PackageResources.receiver_js,
    "/upload.js": PackageResources.upload_js, "/common.js": PackageResources.common_js,
    "/page.css": PackageResources.page_css, "/icon.svg": PackageResources.icon_svg,
  ])

  /// Whether a path is one of the page's own files.
  public func has(_ path: String) -> Bool { assets[path] != nil }

  /// nil: no file of the page. The browser asks each time whether it is still the same, so that a new program shows a new
  /// page.
  public func answer(_ request: Request) -> Response? {
    guard let asset = assets[request.uri.path] else { return nil }
    var headers: HTTPFields = [.contentType: asset.type, .cacheControl: "no-cache", .eTag: asset.tag]
    PageHeaders.add(to: &headers)
    if request.headers[.ifNoneMatch] == asset.tag { return Response(status: .notModified, headers: headers) }
    let response = Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: asset.bytes))
    return request.method == .head ? response.createHeadResponse() : response
  }

  private static func type(of path: String) -> String {
    if path.hasSuffix(".js") { return "text/javascript; charset=utf-8" }
    if path.hasSuffix(".css") { return "text/css; charset=utf-8" }
    if path.hasSuffix(".svg") { return "image/svg+xml" }
    return "text/html; charset=utf-8"
  }
}
