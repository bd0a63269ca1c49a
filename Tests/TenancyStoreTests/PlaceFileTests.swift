import Foundation
import Tenancy
import TenancyTestSupport
import Testing

@testable import TenancyStore

@Suite struct PlaceFileTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func place(_ name: String, isOneOfSeveral: Bool = true) throws -> String? {
    try SQLiteDataPlane(directory: directory.file(name), isOneOfSeveral: isOneOfSeveral).place
  }

  @Test func aDirectoryIsAPlaceForAsLongAsItLasts() throws {
    let first = try #require(try place("a"))
    #expect(first.utf8.count == 32)
    #expect(try place("a") == first)
    #expect(try place("b") != first)
    #expect(try place("a", isOneOfSeveral: false) == nil)
    try FileManager.default.removeItem(atPath: directory.file("a"))
    #expect(try place("a") != first)
    let mode = try FileManager.default.attributesOfItem(atPath: directory.file("a/place"))
    #expect(mode[.posixPermissions] as? Int == 0o600)
  }

  @Test(arguments: ["", "x", String(repeating: "g", count: 32), String(repeating: "a", count: 33)])
  func whatIsNoPlaceIsRefused(_ text: String) throws {
    _ = try place("a")
    try Data(text.utf8).write(to: URL(filePath: directory.file("a/place")))
    expectError(.corrupt) { _ = try place("a") }
  }
}
