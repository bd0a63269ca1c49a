import TenancyRPC
import Testing

@testable import TenancyRPCServices

/// Requests of services that anybody may call.
@Suite struct SmallRequestsTests {
  private let health = HealthStatus(serving: ["a.A"])

  private func refusal(_ request: [UInt8]) -> RPCStatus? {
    request.withUnsafeBytes { bytes in
      do throws(RPCStatus) {
        _ = try HealthService.check(health, bytes, Arena())
        return nil
      } catch {
        return error
      }
    }
  }

  /// A request of so many bytes, all but its last few in a field that is not known.
  private func padded(_ count: Int) -> [UInt8] {
    let service: [UInt8] = [0x0A, 3] + Array("a.A".utf8)
    let padding = count - service.count - 3
    return [0x7A, UInt8(padding & 0x7F) | 0x80, UInt8(padding >> 7)]
      + [UInt8](repeating: 0xFF, count: padding) + service
  }

  @Test func aRequestHasALength() {
    #expect(refusal(padded(SmallRequests.maximumBytes)) == nil)
    let over = refusal(padded(SmallRequests.maximumBytes + 1))
    #expect(over == RPCStatus(.invalidArgument, "request: is longer than 4096 bytes"))
  }

  /// Two million fields, or a name that takes long to compare: neither is read.
  @Test func aLongRequestIsNotRead() {
    let fields = [UInt8](repeating: 0x0A, count: 4 << 20)
    let name = Array(String(repeating: "e\u{301}", count: 1 << 20).utf8)
    for request in [fields, [0x0A, 0x80, 0x80, 0xC0, 0x01] + name] {
      #expect(refusal(request)?.message == "request: is longer than 4096 bytes")
    }
  }

  @Test func aNameHasALength() {
    for (count, code) in [
      (HealthService.maximumNameBytes, RPCStatus.Code.notFound),
      (HealthService.maximumNameBytes + 1, .invalidArgument),
    ] {
      let request = GRPCHealth.HealthCheckRequest(service: String(repeating: "x", count: count))
      #expect(refusal(request.encode(arena: Arena()))?.code == code)
    }
  }
}
