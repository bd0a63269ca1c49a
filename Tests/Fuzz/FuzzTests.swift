import Foundation
import TenancyTestSupport
import Testing

/// The fuzz targets, without a fuzzer: on their seeds, cut short, and with bytes changed.
@Suite struct FuzzTests {
  static let names = FuzzTarget.all.map(\.name)

  static func target(_ name: String) throws -> FuzzTarget {
    try #require(FuzzTarget.all.first { $0.name == name })
  }

  @Test func namesAreUnique() {
    #expect(Set(Self.names).count == Self.names.count)
  }

  @Test(arguments: names) func seeds(name: String) throws {
    let target = try Self.target(name)
    let seeds = try target.seeds()
    #expect(!seeds.isEmpty)
    for seed in seeds { #expect(throws: Never.self, "\(seed)") { try target.run(seed) } }
  }

  @Test(arguments: names) func damagedSeeds(name: String) throws {
    let target = try Self.target(name)
    var random = SeededGenerator(Array(name.utf8))
    for seed in try target.seeds() {
      for _ in 0..<20 {
        var input = seed.prefix(Int.random(in: 0...seed.count, using: &random))
        if !input.isEmpty, Bool.random(using: &random) { input = seed[...] }
        for _ in 0..<Int.random(in: 0...4, using: &random) where !input.isEmpty {
          input[Int.random(in: input.indices, using: &random)] = UInt8.random(
            in: 0...255, using: &random)
        }
        let damaged = Array(input)
        #expect(throws: Never.self, "\(damaged)") { try target.run(damaged) }
      }
    }
  }

  /// Inputs that a fuzzer found, and that were handled wrongly once.
  @Test(arguments: regressions) func regression(_ one: Regression) throws {
    let input = [UInt8](try #require(Data(base64Encoded: one.base64)))
    try Self.target(one.target).run(input)
  }

  struct Regression: Sendable {
    let target: String
    let base64: String
  }

  static let regressions = [
    // A subject key identifier that is no OCTET STRING left errors in OpenSSL's queue.
    Regression(
      target: "certificate",
      base64: """
        MIICADCCAaegAwIBAgIUT7vmrOTToB9NzQWdafKpx68Mhv0wCgYIKoZIzj0EAwIwITEfMB0GA1UEAwwWVGVu\
        YW5jeSBkZXZlbG9wbWVudCBDQTAeFw0yNjExMjMxNjE2MTlaFw0yNzAyMjExNjIxMTlaMBQxEjAQBgNVBAMM\
        CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCh82KDMjOO4xPllIoSwJe9CUTMcs0oP2SzG\
        hRcDAGEh9p1E7kQ9fvAKAf9Ur8iEy0eXRE2K0f8dvMs5G907pwSjgckwgcYwDAYDVR0TAQH/BAIwADAOBgNV\
        HQ8BAf8EBAMCB4AwEwYDVR0lBAwwCgYIKwYBBQUHAwEwHQYDVR0OBBYAAAAAuXZZgDzg7MMMSGP6ZAsnbNyU\
        MB8GA1UdIwQYMBaAFMPhSaFcA+aKtL9AIu5N8Cb7oC6cMFEGA1UdEQRKMEiCCWxvY2FsaG9zdIcEfwAAAYcQ\
        AAAAAAAAAAAAAAAAAAAAAYYjc3BpZmZlOi8vZnV6ei50ZXN0L3BsYXRmb3JtL3RlbmFudGQwCgYIMIZIzj0E\
        AwIDRwAwRAIgSTvQfBPFhnN331SuTdLwRNfamsyis2XsGoKvol1N/dQCIHikKeHRfhRZRlkaujjl5xllEZgW\
        ZzcKNp54U4wFYkzi
        """),
    // Claims that are not known kept the order in which an object's members came.
    Regression(
      target: "token-parts",
      base64: """
        eyJpc3MiOiJpIiwic3ViIjoicyIsImF1ZCI6WyJhIl0sImlhdCI6MywiZXhwIjowLjUsIiFjdCI6eyJzdSI6\
        WyJhIl0sImlhdCI6MywiZXhwIjowLjUsImFjdCI6MywiZWIiOiJ4In0sInRlcCI6Mn0=
        """),
  ]
}
