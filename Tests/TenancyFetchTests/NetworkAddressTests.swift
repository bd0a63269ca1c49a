import Testing

@testable import TenancyFetch

/// Who is behind addresses.
struct NetworkAddressTests {
  @Test(
    arguments: [
      ("8.8.8.8", .anybody), ("0.0.0.0", .nobody), ("0.1.2.3", .nobody), ("1.0.0.0", .anybody),
      ("9.255.255.255", .anybody), ("10.0.0.0", .inside), ("10.255.255.255", .inside),
      ("11.0.0.0", .anybody), ("100.63.255.255", .anybody), ("100.64.0.0", .inside),
      ("100.127.255.255", .inside), ("100.128.0.0", .anybody), ("127.0.0.1", .inside),
      ("127.255.255.255", .inside), ("128.0.0.0", .anybody), ("169.253.255.255", .anybody),
      ("169.254.169.254", .inside), ("169.255.0.0", .anybody), ("172.15.255.255", .anybody),
      ("172.16.0.0", .inside), ("172.31.255.255", .inside), ("172.32.0.0", .anybody),
      ("192.0.0.8", .inside), ("192.0.1.0", .anybody), ("192.0.2.1", .nobody),
      ("192.88.99.1", .nobody), ("192.167.255.255", .anybody), ("192.168.0.1", .inside),
      ("192.169.0.0", .anybody), ("198.17.255.255", .anybody), ("198.18.0.0", .inside),
      ("198.19.255.255", .inside), ("198.20.0.0", .anybody), ("198.51.100.1", .nobody),
      ("203.0.113.1", .nobody), ("223.255.255.255", .anybody), ("224.0.0.1", .nobody),
      ("239.255.255.255", .nobody), ("240.0.0.1", .nobody), ("255.255.255.255", .nobody),
    ] as [(String, NetworkAddress.Reach)])
  func version4(_ text: String, _ reach: NetworkAddress.Reach) throws {
    let bytes = text.split(separator: ".").compactMap { UInt8($0) }
    let address = try #require(NetworkAddress(bytes))
    #expect(address.reach == reach)
    #expect(address.description == text)
    // Whatever way it is in one of the other kind, it is the same.
    for embedded in [
      [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + bytes,
      [UInt8](repeating: 0, count: 8) + [0xFF, 0xFF, 0, 0] + bytes,
      [0, 0x64, 0xFF, 0x9B] + [UInt8](repeating: 0, count: 8) + bytes,
      [0x20, 0x02] + bytes + [UInt8](repeating: 7, count: 10),
    ] {
      #expect(NetworkAddress(embedded)?.reach == reach, "\(embedded)")
    }
  }

  @Test(
    arguments: [
      ("0 0 0 0 0 0 0 0", .nobody), ("0 0 0 0 0 0 0 1", .inside), ("0 0 0 0 0 0 0 2", .nobody),
      ("0 0 0 0 0 0 a00 1", .nobody), ("64 ff9b 1 0 0 0 808 808", .inside),
      ("64 ff9b 2 0 0 0 808 808", .nobody), ("100 0 0 0 0 0 0 1", .nobody),
      ("1fff ffff 0 0 0 0 0 1", .nobody), ("2001 0 0 0 0 0 0 1", .nobody),
      ("2001 1ff 0 0 0 0 0 1", .nobody), ("2001 200 0 0 0 0 0 1", .anybody),
      ("2001 db8 0 0 0 0 0 1", .nobody), ("2001 db9 0 0 0 0 0 1", .anybody),
      ("2606 4700 0 0 0 0 0 1111", .anybody), ("2a00 1450 0 0 0 0 0 1", .anybody),
      ("3fff 0 0 0 0 0 0 1", .nobody), ("3fff 1000 0 0 0 0 0 1", .anybody),
      ("4000 0 0 0 0 0 0 1", .nobody), ("5f00 0 0 0 0 0 0 1", .nobody),
      ("fbff 0 0 0 0 0 0 1", .nobody), ("fc00 0 0 0 0 0 0 1", .inside),
      ("fdff ffff 0 0 0 0 0 1", .inside), ("fe80 0 0 0 0 0 0 1", .inside),
      ("febf 0 0 0 0 0 0 1", .inside), ("fec0 0 0 0 0 0 0 1", .inside),
      ("ff02 0 0 0 0 0 0 1", .nobody), ("ffff 0 0 0 0 0 0 1", .nobody),
    ] as [(String, NetworkAddress.Reach)])
  func version6(_ text: String, _ reach: NetworkAddress.Reach) throws {
    let groups = text.split(separator: " ").compactMap { UInt16($0, radix: 16) }
    let address = try #require(
      NetworkAddress(groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }))
    #expect(address.reach == reach)
    #expect(address.description == text.split(separator: " ").joined(separator: ":"))
  }

  @Test func otherNumbersOfBytes() {
    for count in [0, 3, 5, 15, 17] {
      #expect(NetworkAddress([UInt8](repeating: 8, count: count)) == nil)
    }
  }

  @Test func onlyThoseAreAskedThatMayBe() throws {
    func address(_ bytes: UInt8...) throws -> NetworkAddress {
      try #require(NetworkAddress(bytes))
    }
    let (open, inside) = (try address(8, 8, 8, 8), try address(127, 0, 0, 1))
    let all = [inside, open, try address(224, 0, 0, 1)]
    #expect(try HTTPSFetcher.allowed(all, allowsInside: false, "a") == [open])
    #expect(try HTTPSFetcher.allowed(all, allowsInside: true, "a") == [inside, open])
    #expect(throws: FetchFailure.self) {
      try HTTPSFetcher.allowed([inside], allowsInside: false, "a")
    }
    #expect(throws: FetchFailure.self) {
      try HTTPSFetcher.allowed([try address(0, 0, 0, 0)], allowsInside: true, "a")
    }
    #expect(throws: FetchFailure.self) { try HTTPSFetcher.allowed([], allowsInside: true, "a") }
    let many = Array(repeating: open, count: 9)
    #expect(try HTTPSFetcher.allowed(many, allowsInside: true, "a").count == 4)
  }
}
