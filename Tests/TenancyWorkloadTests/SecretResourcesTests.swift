import Foundation
import Tenancy
import TenancyRPC
import TenancyTestSupport
import Testing

@testable import TenancyWorkload

/// What a process has, as Envoy takes it.
struct SecretResourcesTests {
  private let bench: WorkloadBench
  private static let domain = "spiffe://example.test"
  private static let id = "\(domain)/tenant/\(WorkloadBench.acme)/web"

  init() async throws {
    bench = try await WorkloadBench()
    try await bench.register()
  }

  private func names(_ wanted: String...) async throws -> [String] {
    let answer = try await bench.issuer().answer(for: bench.peer(), signing: true)
    return try SecretResources(answer, names: wanted).resources.map { resource in
      #expect(resource.typeUrl == SecretResources.typeURL)
      return try MessageCoder().decode(EnvoySecret.Secret.self, resource.value).name
    }
  }

  @Test func eachIsFoundByItsNames() async throws {
    #expect(try await names() == [Self.id, Self.domain])
    #expect(try await names("default", Self.id) == ["default", Self.id])
    #expect(try await names("ROOTCA", Self.domain) == ["ROOTCA", Self.domain])
    #expect(try await names("other", "\(Self.domain)/tenant/x", "") == [])
  }

  @Test func theVersionIsThatOfTheContent() async throws {
    // Certificates are dated by the machine's clock, and the test may be held up for some time.
    bench.clock.advance(seconds: 300)
    let (peer, issuer) = (bench.peer(), bench.issuer())
    func version(_ names: String...) async throws -> String {
      SecretResources(try await issuer.answer(for: peer, signing: true), names: names).version
    }
    let first = try await version("default")
    #expect(first.count == 32)
    let (again, other) = (try await version("default"), try await version("ROOTCA"))
    #expect(again == first && other != first)
    bench.clock.advance(seconds: 1_800)
    #expect(try await version("default") != first)
    #expect(try await version("ROOTCA") == other)
  }

  @Test func requestsAreBounded() {
    func isRefused(_ names: [String], type: String = "") -> Bool {
      do throws(RPCStatus) {
        try SecretResources.check(
          EnvoySecret.DiscoveryRequest(resourceNames: names, typeUrl: type))
        return false
      } catch {
        return error.code == .invalidArgument
      }
    }
    #expect(!isRefused([]) && !isRefused([], type: SecretResources.typeURL))
    #expect(isRefused([], type: "x"))
    let most = SecretResources.maximumNames
    #expect(!isRefused((0..<most).map { "\($0)" }) && isRefused((0...most).map { "\($0)" }))
    #expect(!isRefused([String(repeating: "x", count: 2_048)]))
    #expect(isRefused([String(repeating: "x", count: 2_049)]))
  }

  /// As Foundation has Base64.
  @Test(arguments: [0, 1, 2, 3, 46, 47, 48, 49, 200])
  func keysAreText(_ count: Int) {
    let der = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    let lines = Data(der).base64EncodedString(options: [
      .lineLength64Characters, .endLineWithLineFeed,
    ])
    let body = lines.isEmpty ? "" : lines + "\n"
    let text = String(decoding: PEMText.privateKey(der), as: UTF8.self)
    #expect(text == "-----BEGIN PRIVATE KEY-----\n\(body)-----END PRIVATE KEY-----\n")
  }

  @Test func certificatesAreTakenApart() {
    func count(_ der: [UInt8]) -> Int {
      String(decoding: PEMText.certificates(der), as: UTF8.self).split(separator: "BEGIN").count - 1
    }
    let long = [0x30, 0x81, 0x80] + [UInt8](repeating: 7, count: 128)
    #expect(count([]) == 0 || PEMText.certificates([]).isEmpty)
    #expect(count([0x30, 1, 7]) == 1 && count([0x30, 1, 7] + long + [0x30, 0]) == 3)
    // What is not whole is none, and ends it.
    for rest in [[0x30], [0x30, 1], [0x31, 0], [0x30, 0x82, 1], [0x30, 0x84, 0, 0, 0, 0]]
      as [[UInt8]]
    {
      #expect(count(long + rest) == 1, "\(rest)")
    }
  }
}
