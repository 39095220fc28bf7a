public import HTTPTypes

/// What the browser is told to forbid on our pages, even if something of them went wrong (docs/THREATS.md).
public enum PageHeaders {
  /// Scripts, styles, pictures, sound and requests from this server alone; nothing inline; no text becomes markup; nobody
  /// frames the page.
  static let policy = """
    default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'
    """

  /// For every answer of a page's server, refusals included.
  public static func add(to headers: inout HTTPFields) {
    headers[.contentSecurityPolicy] = policy
    headers[.xContentTypeOptions] = "nosniff"
    headers[.referrerPolicy] = "no-referrer"
    headers[.crossOriginResourcePolicy] = "same-origin"
    headers[.openerPolicy] = "same-origin"
    headers[.frameOptions] = "DENY"
  }
}

extension HTTPField.Name {
  static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
  static let openerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
  static let frameOptions = HTTPField.Name("X-Frame-Options")!
}
