import Tenancy
import TenancyRPC
import TenancyWire

@testable import TenancyCrypto
@testable import TenancyTokens
@testable import TenancyWorkload

/// What processes tell the Workload API, and what they have written where it looks at them.
let workloadTargets: [FuzzTarget] = [
  FuzzTarget("workload-request") {
    let requests: [[UInt8]] = [
      SPIFFE.JWTSVIDRequest(audience: ["orders", "x"], spiffeId: "spiffe://e.test/a")
        .encode(arena: Arena()),
      SPIFFE.ValidateJWTSVIDRequest(audience: "orders", svid: "a.b.c").encode(arena: Arena()),
      EnvoySecret.DiscoveryRequest(
        resourceNames: ["default", "ROOTCA"], typeUrl: SecretResources.typeURL,
        responseNonce: "1"
      ).encode(arena: Arena()),
    ]
    return requests.enumerated().map { [UInt8($0.offset)] + $0.element }
  } run: { input in
    var bytes = input
    switch bytes.takeFirst() % 3 {
    case 0: _ = try reread(bytes, SPIFFE.JWTSVIDRequest.self)
    case 1: _ = try reread(bytes, SPIFFE.ValidateJWTSVIDRequest.self)
    default:
      guard let request = try reread(bytes, EnvoySecret.DiscoveryRequest.self) else { return }
      do throws(RPCStatus) {
        try SecretResources.check(request)
      } catch {
        try check(error.code == .invalidArgument, "\(error)")
      }
    }
  },

  FuzzTarget("jwt-svid") {
    let made = try MadeSVID.shared.get()
    return [Array(made.token.utf8), Array(made.token.utf8.dropLast()), [], Array("..".utf8)]
  } run: { input in
    let made = try MadeSVID.shared.get()
    let token = String(decoding: input, as: UTF8.self)
    let found: (subject: String, claims: [UInt8], registration: String?)
    do throws(TokenRefusal) {
      found = try made.authority.validate(token, audience: "x", at: made.now)
    } catch {
      return try check(token != made.token, "the token itself is refused: \(error)")
    }
    // Nobody has the key.
    try check(token == made.token, "another token is accepted")
    try checkEqual(found.subject, made.subject, "subject")
    try checkEqual(found.registration, made.entry, "entry")
  },

  FuzzTarget("claims") {
    [
      "{}", #"{"a":[1,-0.5,null,true,{"b":"naïve"}],"":{}}"#, #"{"a":{"a":{"a":[[[]]]}}}"#,
      #"{"a":1e999}"#,
    ].map { Array($0.utf8) }
  } run: { input in
    guard
      let members = try? TokenJSONReader.object(input, TokenJSONReader.Limits(bytes: 1 << 16))
    else { return }
    let encoded = StructBytes.encode(members)
    // What readers of protobuf make of it, but for depths and numbers that these do not take.
    let read = try? encoded.withUnsafeBytes { bytes throws(FieldViolation) in
      try StructCodec.decode(bytes, field: "claims")
    }
    if let read { try checkEqual(read.count, members.count, "claims") }
  },

  FuzzTarget("process-files") {
    [
      "web", "a) S 1 2 3", ")", "", "\n", "0::/system.slice/web.service\n",
      "1:name=systemd:/system.slice/web.service", "0::/user.slice/user-1.slice/x.service/y.scope",
      "0::/a.slice/../b.service", "0::/x\u{0}y.service", "x\u{70F}",
    ].map { Array($0.utf8) }
  } run: { input in
    let text = String(decoding: input, as: UTF8.self)
    // A program calls itself what it likes.
    let behind = (1...18).map(String.init).joined(separator: " ")
    let stat = "7 (\(text)) S \(behind) 4242 0 0\n"
    try checkEqual(ProcDirectory.startTime(in: stat), 4_242, "the start of a process")
    _ = ProcDirectory.startTime(in: text)
    if let unit = ControlGroup.unit(in: text) {
      try check(WorkloadEntry.isUnit(unit) && !unit.contains("/"), "a unit: \(unit)")
    }
  },

  FuzzTarget("registration") {
    let id = Array("01997f0e-0000-7000-8000-000000000001".utf8)
    return [[12, 36] + id, [12, 36] + id + [0], [4, 36] + id, id, []]
  } run: { input in
    let certificate = try Certificate()
    try RegistrationExtension.add(content: input, to: certificate.pointer)
    guard case .success(let found) = RegistrationExtension.read(certificate.pointer) else { return }
    let id = try found.map { Array($0.utf8) } ?? { throw PropertyFailure(description: "no id") }()
    try checkEqual([12, 36] + id, input, "an entry")
  },
]

/// A token of the Workload API's.
private struct MadeSVID: Sendable {
  let authority: TokenAuthority
  let token: String
  let subject = "spiffe://example.test/tenant/a/web"
  let entry = "01997f0e-0000-7000-8000-000000000001"
  let now = Timestamp(seconds: 1_800_000_000, subsecondNanoseconds: 0)

  static let shared = Result { try MadeSVID() }

  init() throws {
    let signer = try TokenSigner(MessageSigner(generating: .es256))
    authority = TokenAuthority(
      trustDomain: "example.test", signing: signer, keys: try JWKSet([signer.key]))
    token =
      try authority.issue(
        subject: subject, audiences: ["x"], seconds: 300, registration: entry, at: now) ?? ""
  }
}

/// - Returns: nil where it is refused.
private func reread<Message: WireMessage & Equatable>(
  _ bytes: [UInt8], _: Message.Type
) throws -> Message? {
  func decoded(_ bytes: [UInt8]) -> Message? {
    let arena = Arena()
    return try? bytes.withUnsafeBytes { try Message(decoding: $0, arena: arena) }
  }
  guard let message = decoded(bytes) else { return nil }
  let encoded = message.encode(arena: Arena())
  try check(decoded(encoded) == message, "\(Message.self): read again")
  return message
}
