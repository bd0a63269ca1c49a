import TenancyTestSupport
import TenancyWire
import Testing

@testable import Tenancy
@testable import TenancyRPCCore
@testable import TenancyRPCServer
@testable import TenancyServer

struct StatusMappingTests {
  private static func decode<M: WireMessage>(_: M.Type, _ bytes: [UInt8]) throws -> M {
    let arena = Arena()
    return try bytes.withUnsafeBytes { try M(decoding: $0, arena: arena) }
  }

  /// The details of a status by type; the status in them repeats code and message.
  private static func details(_ error: TenancyError) throws -> [String: [UInt8]] {
    let status = StatusMapping.status(of: error)
    let inner = try decode(GoogleRPC.Status.self, status.details)
    #expect(inner.code == Int32(status.code.rawValue))
    #expect(inner.message == status.message)
    #expect(status.message == error.message)
    let prefix = "type.googleapis.com/google.rpc."
    #expect(inner.details.allSatisfy { $0.typeUrl.hasPrefix(prefix) })
    return Dictionary(
      uniqueKeysWithValues: inner.details.map {
        (String($0.typeUrl.dropFirst(prefix.count)), $0.value)
      })
  }

  @Test(
    arguments: [
      (TenancyError.Category.invalidArgument, RPCStatus.Code.invalidArgument, []),
      (.notFound, .notFound, []), (.alreadyExists, .alreadyExists, []),
      (.failedPrecondition, .failedPrecondition, ["PreconditionFailure"]),
      (.permissionDenied, .permissionDenied, []), (.aborted, .aborted, []),
      (.unavailable, .unavailable, []), (.unimplemented, .unimplemented, []),
      (.resourceExhausted, .resourceExhausted, ["QuotaFailure"]),
      (.unauthenticated, .unauthenticated, []), (.internalError, .internalError, []),
    ] as [(TenancyError.Category, RPCStatus.Code, [String])])
  func everyCategory(
    _ category: TenancyError.Category, _ code: RPCStatus.Code, _ extra: [String]
  ) throws {
    let error = TenancyError(
      category, .etagMismatch, "a – message", metadata: ["key": "value"])
    #expect(StatusMapping.status(of: error).code == code)
    let details = try Self.details(error)
    #expect(Set(details.keys) == Set(["ErrorInfo"] + extra))
    let info = try Self.decode(GoogleRPC.ErrorInfo.self, try #require(details["ErrorInfo"]))
    #expect(
      info
        == GoogleRPC.ErrorInfo(
          reason: "ETAG_MISMATCH", domain: "tenancy.v1", metadata: ["key": "value"]))
  }

  @Test func fieldsThatAreWrongAreNamed() throws {
    let details = try Self.details(.invalid("tenant.slug", "is bad"))
    let request = try Self.decode(GoogleRPC.BadRequest.self, try #require(details["BadRequest"]))
    #expect(
      request.fieldViolations == [
        GoogleRPC.BadRequest.FieldViolation(field: "tenant.slug", description: "is bad")
      ])
  }

  @Test func violationsHaveALimit() throws {
    func violations(_ count: Int, bytes: Int) throws -> [GoogleRPC.BadRequest.FieldViolation] {
      let one = TenancyError.FieldViolation(
        field: "f", description: String(repeating: "d", count: bytes - 1))
      let error = TenancyError(
        .invalidArgument, .invalidField, "many", violations: Array(repeating: one, count: count))
      let details = try Self.details(error)
      return try Self.decode(GoogleRPC.BadRequest.self, try #require(details["BadRequest"]))
        .fieldViolations
    }
    let fitting = StatusMapping.maximumViolationBytes / 64
    #expect(try violations(fitting, bytes: 64).count == fitting)
    let cut = try violations(fitting + 1, bytes: 64)
    #expect(cut.count == fitting + 1)
    #expect(cut.last == .init(field: "request", description: "and 1 more violations"))
    #expect(try violations(1_000_000, bytes: 64).last?.description == "and 999976 more violations")
  }

  /// Trailers hold no more.
  @Test func anErrorFitsIntoTrailersWhateverItQuotes() {
    let huge = String(repeating: "ü", count: 1 << 20)
    let error = TenancyError(
      .failedPrecondition, .invalidField, huge, metadata: ["a": huge],
      violations: Array(repeating: .init(field: huge, description: huge), count: 100),
      retryAfterSeconds: 1)
    let status = StatusMapping.status(of: error)
    #expect(status.message.utf8.count == StatusMapping.maximumTextBytes)
    #expect(status.details.count <= RPCStatus.maximumSentDetails)
  }

  @Test func aQuotaIsNamedWithItsSubject() throws {
    let id = Sample.id(1)
    let error = TenancyError.exhausted(
      .assignments, of: .tenant(id), limit: 5, retryAfterSeconds: 2)
    let details = try Self.details(error)
    let failure = try Self.decode(
      GoogleRPC.QuotaFailure.self, try #require(details["QuotaFailure"]))
    #expect(failure.violations.map(\.subject) == ["tenants/\(id)"])
    #expect(failure.violations.map(\.description) == [error.message])
    let info = try Self.decode(GoogleRPC.ErrorInfo.self, try #require(details["ErrorInfo"]))
    #expect(info.reason == "LIMIT_REACHED")
    #expect(
      info.metadata == ["quota": "assignments", "limit": "5", "subject": "tenants/\(id)"])
    #expect(details["RetryInfo"] != nil)
  }

  @Test func whenToTryAgain() throws {
    let tenant = Sample.tenant(1, "acme", state: .maintenance)
    let error = try #require(Lifecycle.refusal(for: tenant, at: Sample.moment))
    let details = try Self.details(error)
    let retry = try Self.decode(GoogleRPC.RetryInfo.self, try #require(details["RetryInfo"]))
    #expect(retry.retryDelay == GoogleProtobuf.Duration(seconds: 30))
  }

  @Test func preconditionsNameTheReason() throws {
    let details = try Self.details(
      TenancyError(.failedPrecondition, .tenantNotProvisioned, "message"))
    let failure = try Self.decode(
      GoogleRPC.PreconditionFailure.self, try #require(details["PreconditionFailure"]))
    #expect(failure.violations.map(\.type) == ["TENANT_NOT_PROVISIONED"])
    #expect(failure.violations.map(\.description) == ["message"])
  }
}
