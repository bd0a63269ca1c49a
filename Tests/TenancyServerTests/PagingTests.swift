import TenancyTestSupport
import Testing

@testable import Tenancy
@testable import TenancyServer

struct PagingTests {
  private static func page(
    _ token: String = "", size: Int32 = 0, question: String = "tenants false "
  ) throws(TenancyError) -> Page {
    try Page(size: size, token: token, question: question)
  }

  private static func refusedField(_ token: String, question: String = "tenants false ") -> String?
  {
    thrown { () throws(TenancyError) in try page(token, question: question) }?
      .violations.first?.field
  }

  @Test(arguments: [(0, 50), (1, 1), (50, 50), (1000, 1000), (1001, 1000), (Int32.max, 1000)])
  func sizes(_ asked: Int32, _ given: Int) throws {
    #expect(try Self.page(size: asked).size == given)
  }

  @Test(arguments: [-1, Int32.min])
  func negativeSizes(_ size: Int32) {
    let error = thrown { () throws(TenancyError) in try Self.page(size: size) }
    #expect(error?.violations.first?.field == "page_size")
  }

  @Test(arguments: ["key", "", "with space", "a\u{1}b"])
  func aTokenGivesItsKeyBack(_ key: String) throws {
    let first = try Self.page()
    #expect(first.after == nil)
    #expect(try Self.page(first.token(after: key), size: 7).after == key)
  }

  @Test func aTokenIsForOneQuestion() throws {
    let token = try Self.page(question: "tenants false a").token(after: "key")
    for other in ["tenants true a", "tenants false ", "tenants false ab", "roles x", ""] {
      #expect(Self.refusedField(token, question: other) == "page_token")
    }
  }

  @Test func everyTamperedTokenIsRefused() throws {
    let token = try Self.page().token(after: Sample.id(1).description)
    let digits = Array("0123456789abcdef")
    var tampered = [token + "0", token + "00", String(token.dropLast()), String(token.dropLast(2))]
    for offset in 0..<token.count {
      var characters = Array(token)
      guard let old = characters[offset].hexDigitValue else { continue }
      characters[offset] = digits[(old + 1) % 16]
      tampered.append(String(characters))
    }
    for text in tampered { #expect(Self.refusedField(text) == "page_token", "\(text)") }
  }

  @Test(arguments: [
    "x", "0", "zz", "ff", "00", "2020", " ", "\0", Hex.encode("1 0 key"), Hex.encode("2 0 key"),
    Hex.encode("1 zz key"), Hex.encode("1"), Hex.encode("é"), String(repeating: "0", count: 4096),
  ])
  func whatNoListGaveOutIsRefused(_ token: String) {
    #expect(Self.refusedField(token) == "page_token")
  }

  @Test func hexIsLowerCaseASCII() {
    #expect(Hex.decode(Hex.encode("abc z~"), maximumLength: 12) == "abc z~")
    #expect(Hex.decode("4A", maximumLength: 2) == nil)
    #expect(Hex.decode("80", maximumLength: 2) == nil)
  }
}
