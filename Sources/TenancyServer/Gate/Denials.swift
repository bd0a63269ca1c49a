import Tenancy
import TenancyRPC
import TenancyWire

extension [String] {
  /// The first of each.
  fileprivate var withoutRepeats: [String] {
    var seen: Set<String> = []
    return filter { seen.insert($0).inserted }
  }
}

/// Tells the audit trail of calls that were denied.
struct Denials {
  let plane: ControlPlane

  /// Notes an error of a call that was not admitted, if it is a denial.
  /// - Parameter named: the request's tenant field; nil where the method has none or it was not reached.
  func note(
    _ error: TenancyError, _ caller: Caller, _ rule: MethodRule, _ named: RawSpan?,
    _ form: TenantNames.Form, _ snapshot: Snapshot, _ requestID: String
  ) {
    guard Self.isDenial(error) else { return }
    let home = Self.home(of: caller, snapshot)
    guard let named else {
      return note(
        error, caller, rule, home: home, named: nil, target: error.attempted, requestID)
    }
    let bare = TenantNames.bareName(named, form)
    let isNearby = bare.byteCount <= TenantNames.maximumLength
    note(
      error, caller, rule, home: home,
      named: bare.extracting(first: TenantNames.maximumLength).decodedText,
      target: error.attempted ?? (isNearby ? Self.known(bare, snapshot) : nil), requestID)
  }

  /// Notes an error of a call that was admitted, if what it asked for was denied.
  func note(
    _ error: TenancyError, _ access: Access, _ rule: MethodRule, _ requestID: String
  ) {
    guard Self.isDenial(error) else { return }
    note(
      error, access.caller, rule, home: access.home?.tenant.id,
      named: access.target.map(\.idText), target: error.attempted ?? access.target?.tenant.id,
      requestID)
  }

  func note(
    _ error: TenancyError, _ caller: Caller, _ rule: MethodRule, home: TenantID?, named: String?,
    target: TenantID?, _ requestID: String
  ) {
    plane.noteDenial(
      by: Self.origin(caller, home: home, requestID), action: rule.path, named: named ?? "",
      target: target,
      reason: error.reason.rawValue)
  }

  /// Notes an HTTP request that was denied.
  /// - Parameters:
  ///   - id: the request's own.
  ///   - caller: who makes it, or where that was not found out, who has asked for it.
  func note(
    _ error: TenancyError, ofRequest id: RawSpan, _ caller: Caller, _ rule: MethodRule,
    _ access: Access
  ) {
    let home = Self.home(of: caller, access.snapshot)
    let id = id.byteCount <= RequestID.maximumLength ? id.decodedText : ""
    var origin = Self.origin(caller, home: home, Self.isRequestID(id) ? id : "")
    // Who makes the request is no peer of ours: the gateway tells of it.
    let gateway = access.caller
    let others = Self.others(than: caller) + [gateway.subject]
    origin.source = Self.source(gateway.connection(), by: others, caller)
    plane.noteDenial(
      by: origin, action: rule.path, named: "", target: error.attempted ?? home,
      reason: error.reason.rawValue)
  }

  /// Notes a call that nobody was found to make, by the token that it carries.
  /// - Parameter caller: who has presented that.
  func note(
    _ denial: TokenDenial, _ caller: Caller, path: String, _ snapshot: Snapshot, _ requestID: String
  ) {
    guard Self.isDenial(denial.error) else { return }
    plane.noteDenial(
      by: Self.origin(caller, home: Self.home(of: caller, snapshot), requestID), action: path,
      named: "", target: denial.tenant, reason: denial.error.reason.rawValue)
  }

  /// Who a caller is, to the audit trail. The connection's name is made here: not on the way of what is
  /// allowed and only read.
  static func origin(_ caller: Caller, home: TenantID?, _ requestID: String) -> AuditOrigin {
    var origin = AuditOrigin(
      home: home, subject: caller.subject, source: caller.connection(), requestID: requestID)
    if let token = caller.token {
      origin.credential = .token
      origin.credentialID = token.tokenID
      origin.source = source(origin.source, by: others(than: caller), caller)
    } else if let certificate = caller.certificate {
      origin.credential = .certificate
      origin.credentialID = certificate.fingerprintText
    } else if caller.source == .unixPeer {
      origin.credential = .unixUser
    } else if caller.source == .insecure {
      origin.credential = .insecure
    }
    return origin
  }

  /// Who acts for the subject, and who has brought its token: they are to be known as well.
  private static func others(than caller: Caller) -> [String] {
    guard let token = caller.token else { return [] }
    return [caller.presenter?.subject].compactMap(\.self)
      + token.claims.actors.map(\.subject.text)
  }

  private static func source(
    _ connection: String, by others: [String], _ caller: Caller
  ) -> String {
    others.withoutRepeats.reduce(into: connection) { source, other in
      if other != caller.subject { source += " by \(other)" }
    }
  }

  /// What the caller calls the request, in printable ASCII. A longer one, or another, is none: it would be read
  /// by other tenants as well.
  static func requestID(in metadata: RPCMetadata) -> String {
    metadata[RequestID.metadataName].first(where: isRequestID) ?? ""
  }

  static func requestID(in metadata: borrowing CallMetadata) -> String {
    var found = ""
    metadata.forEachValue(of: "x-request-id") { value in
      if found.isEmpty, RequestID.isValid(value) { found = String(decoding: value, as: UTF8.self) }
    }
    return found
  }

  static func isRequestID(_ text: String) -> Bool { RequestID.isValid(text.utf8) }

  /// The tenant of an id, a slug or a former slug, of which this is no use.
  static func known(_ bare: RawSpan, _ snapshot: Snapshot) -> TenantID? {
    if let found = snapshot.state.find(bare) { return found.tenant.id }
    return snapshot.state.formerSlug(bare.decodedText)?.tenant
  }

  /// The caller's own tenant, by whichever of its names.
  static func home(
    of caller: Caller, _ snapshot: Snapshot
  ) -> TenantID? {
    switch caller.kind {
    case .platform: nil
    case .tenant(let name):
      snapshot.state.find(name)?.tenant.id ?? snapshot.state.formerSlug(name)?.tenant
    }
  }

  /// Whose call it is that was refused, for observers: of a caller's own tenant, whatever it has asked for.
  static func tag(of caller: Caller, _ snapshot: Snapshot) -> CallTag? {
    home(of: caller, snapshot).map(CallTag.init)
  }

  static func isDenial(_ error: TenancyError) -> Bool {
    switch error.category {
    case .permissionDenied, .unauthenticated: true
    // A token that is not accepted, whatever becomes of it.
    case .unavailable: error.tellsOfFetchedKeys
    // Whoever claims a domain without having it.
    case .failedPrecondition: error.reason == .domainNotProven
    case .invalidArgument, .notFound, .alreadyExists, .aborted, .unimplemented, .resourceExhausted,
      .internalError, .cancelled, .outOfRange:
      false
    }
  }
}
