import Foundation
import TenancyRPC
import Testing

@testable import TenancyTelemetry

enum Sample {
  static let tenantName: TenantName = { "tenant-\($0.low)" }
}

extension CallRecord {
  static func sample(
    _ code: RPCStatus.Code = .ok, method: Int? = 0, at time: UInt64 = 5_000_000
  ) -> CallRecord {
    CallRecord(
      method: method, wire: .grpc, peer: .certificate, code: code, tag: CallTag(low: 7),
      requestBytes: 12, responseBytes: 34, requestMessages: 1, responseMessages: 2,
      beginTime: time - 2_000_000, startTime: time - 1_500_000, endTime: time)
  }
}

@Suite("Lines of the access log")
struct LogLineTests {
  private static let methods = ["/test.Service/Method"]

  private static func line(
    _ format: LogFormat, _ call: borrowing CallRecord, _ details: borrowing CallDetails
  ) -> String {
    var line = AccessLine(format, methods: methods, tenantName: Sample.tenantName)
    line.write(call, details, sample: nil, trace: TraceParent(of: details)?.trace)
    return String(decoding: line.line.bytes, as: UTF8.self)
  }

  private static func object(_ line: String) throws -> [String: Any] {
    #expect(line.utf8.count <= LogLine.maximumBytes)
    #expect(line.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7F })
    #expect(line.hasSuffix("}\n"))
    let found = try JSONSerialization.jsonObject(with: Data(line.utf8))
    return try #require(found as? [String: Any])
  }

  /// A status with an `ErrorInfo`, as the server writes it.
  private static func status(reason: String) -> RPCStatus {
    func field(_ number: UInt8, _ value: [UInt8]) -> [UInt8] {
      [number << 3 | 2, UInt8(value.count)] + value
    }
    let type = "type.googleapis.com/google.rpc.ErrorInfo"
    let info = field(1, Array(reason.utf8)) + field(2, Array("tenancy.v1".utf8))
    let other = field(1, Array("type.googleapis.com/google.rpc.RetryInfo".utf8)) + field(2, [8, 1])
    let any = field(1, Array(type.utf8)) + field(2, info)
    let details = [8, 7] + field(2, Array("no".utf8)) + field(3, other) + field(3, any)
    return RPCStatus(.permissionDenied, "no", details: details)
  }

  @Test func allThatIsKnownOfACall() throws {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    let line = Self.line(
      .json, CallRecord.sample(.permissionDenied),
      CallDetails(
        metadata: ["x-request-id": "r-1", "traceparent": "00-\(trace)-00f067aa0ba902b7-00"],
        status: Self.status(reason: "TENANT_MISMATCH"),
        caller: CallerName(subject: "spiffe://example.org/a", tenant: "acme-id")))
    let object = try Self.object(line)
    let expected: [String: String] = [
      "method": "/test.Service/Method", "protocol": "grpc", "status": "PERMISSION_DENIED",
      "reason": "TENANT_MISMATCH", "peer": "certificate", "subject": "spiffe://example.org/a",
      "caller_tenant": "acme-id", "tenant": "tenant-7", "request_id": "r-1", "trace_id": trace,
    ]
    for (name, value) in expected { #expect(object[name] as? String == value, "\(name)") }
    let numbers = [
      "request_bytes": 12, "response_bytes": 34, "request_messages": 1, "response_messages": 2,
      "duration_us": 2000, "queue_us": 500,
    ]
    for (name, value) in numbers { #expect(object[name] as? Int == value, "\(name)") }
    let time = try #require(object["time"] as? String)
    #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/) != nil)
    #expect(object.count == 1 + expected.count + numbers.count)
  }

  @Test func linesForPeople() {
    let line = Self.line(
      .text, CallRecord.sample(),
      CallDetails(metadata: ["x-request-id": "a=b c"], caller: CallerName(subject: "uid:0")))
    #expect(line.contains(" status=OK peer=certificate subject=uid:0 tenant=tenant-7 "))
    #expect(line.contains(#" request_id="a=b c" "#))
    #expect(line.hasPrefix("time=20"))
    #expect(!line.contains("reason"))
  }

  /// Nobody can write a line of their own, or more than there is room for.
  @Test(arguments: [
    "\n", "\"", "\\", "\u{1B}[2J", "\u{2028}", "\u{85}", "\u{202E}", "\u{1F980}", "\u{0}", "é", " ",
  ])
  func hostileTexts(text: String) throws {
    let much = String(repeating: text, count: 5000)
    for value in ["a" + text + "b", much] {
      let id = value.utf8.count <= 64 ? value : String(repeating: "\"", count: 64)
      let object = try Self.object(
        Self.line(
          .json, CallRecord.sample(.unimplemented, method: nil),
          CallDetails(
            metadata: ["x-request-id": id], path: value, status: Self.status(reason: "X"),
            caller: CallerName(subject: value, tenant: value))))
      let path = try #require(object["method"] as? String)
      #expect(value == much ? path.hasSuffix("...") && path.count > 30 : path == value)
      #expect(object["subject"] as? String == path)
      let isPrintable = id.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
      #expect(object["request_id"] as? String == (isPrintable ? id : nil))
      let plain = Self.line(
        .text, CallRecord.sample(.unimplemented, method: nil),
        CallDetails(path: value, caller: CallerName(subject: value)))
      #expect(plain.utf8.dropLast().allSatisfy { $0 >= 0x20 && $0 < 0x7F })
      #expect(plain.utf8.count <= LogLine.maximumBytes)
    }
  }

  @Test(arguments: [[0xFF], [8, 7, 26], [26, 200, 1], [26, 2, 10], [0x0F, 1]] as [[UInt8]])
  func detailsThatAreNone(details: [UInt8]) {
    #expect(ErrorReason.find(in: RPCStatus(.internalError, "x", details: details)) == nil)
  }

  @Test func whatACallBelongsToIsSaidOnce() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    let once = CallDetails(metadata: ["traceparent": text])
    #expect(TraceParent(of: once)?.text == text)
    let twice = CallDetails(metadata: ["traceparent": text, "traceparent": text])
    #expect(TraceParent(of: twice) == nil)
  }

  @Test func aShareOfWhatIsLogged() {
    var budget = FairBudget(perSecond: 40)
    func take(_ accounts: Range<Int>, at time: UInt64) -> Int {
      var count = 0
      for account in accounts where budget.take(at: time, account: account) { count += 1 }
      return count
    }
    func takeMany(_ account: Int, at time: UInt64) -> Int {
      (0..<100).reduce(0) { sum, _ in sum + take(account..<account + 1, at: time) }
    }
    #expect(takeMany(1, at: 1_000_000_000) == 10)
    // Others have theirs, until all is taken.
    #expect(take(2..<100, at: 1_500_000_000) == 30)
    #expect(take(1..<2, at: 2_000_000_000) == 1)
    // A clock of another loop that is behind gets nothing anew.
    #expect(takeMany(1, at: 1_900_000_000) == 9)
  }
}
