import Testing

@testable import TenancyConditions

@Suite struct SyntaxTests {
  @Test(arguments: [
    ("  1==1||true&&!false", "1 == 1 || true && !false"),
    ("(1 == 1 || true) && false", "(1 == 1 || true) && false"),
    ("true || (true || false)", "true || (true || false)"),
    ("((1 + 2) * 3) - (4 - 5) == 0", "(1 + 2) * 3 - (4 - 5) == 0"),
    ("1 - 2 - 3 == -4", "1 - 2 - 3 == -4"), ("- 5 == -5", "-5 == -5"),
    ("-(-5) == 5", "-(-5) == 5"), ("!!!true", "!true"), ("!!!!true", "!!true"),
    ("!(!(!true))", "!true"),
    ("'a' == \"a\"", "\"a\" == \"a\""), ("r'\\n' == '\\n'", "\"\\\\n\" == \"\\n\""),
    ("'''a'b''' == 'x'", "\"a'b\" == \"x\""),
    ("b'\\xff' == b\"ÿ\"", "b\"\\xff\" == b\"\\xc3\\xbf\""),
    ("0xFF == 255 && 0xffu == 255u", "255 == 255 && 255u == 255u"),
    ("1e3 == .5", "1000.0 == 0.5"), ("[1,2,] == [ ]", "[1, 2] == []"),
    ("{'a':1,} == {}", "{\"a\": 1} == {}"),
    (
      "true ? false : (true ? false : true)",
      "true ? false : true ? false : true"
    ),
    ("(true ? false : true) ? true : false", "(true ? false : true) ? true : false"),
    ("numbers . all ( n , n > 0 ) // why", "numbers.all(n, n > 0)"),
    (".subject.id == 'x'", ".subject.id == \"x\""), ("(1).size() == 1", "(1).size() == 1"),
    ("has ( subject.attributes.x )", "has(subject.attributes.x)"),
    ("1 in [1] == true", "1 in [1] == true"), ("1 in ([1] == true)", "1 in ([1] == true)"),
    ("-9223372036854775808 == 0", "-9223372036854775808 == 0"),
  ])
  func canonical(_ source: String, _ expected: String) throws {
    let node = try Parser.parse(Array(source.utf8), ConditionLimits())
    #expect(Printer.text(node) == expected)
    let again = try Parser.parse(Array(expected.utf8), ConditionLimits())
    #expect(Printer.text(again) == expected)
  }

  @Test func minimumsOfTheSpec() {
    func row(_ element: String, _ between: String, _ count: Int) -> String {
      Array(repeating: element, count: count).joined(separator: between)
    }
    #expect(outcome(row("true", " && ", 32)) == "true")
    #expect(outcome(row("false", " || ", 32)) == "false")
    #expect(outcome("[\(row("1", ", ", 32))].size() == 32") == "true")
    #expect(outcome(row("true ? true : ", "", 24) + "false") == "true")
    #expect(outcome(row("1", " + ", 25) + " == 25") == "true")
    #expect(outcome(row("1", " * ", 25) + " == 1") == "true")
    #expect(outcome("dyn(" + row("true", " == ", 25) + ")") == "true")
    #expect(outcome(row("dyn(", "", 12) + "true" + row(")", "", 12)) == "true")
    #expect(outcome(row("[", "", 12) + "true" + row("]", "", 12) + row("[0]", "", 12)) == "true")
    #expect(
      outcome(row("{'a': ", "", 12) + "true" + row("}", "", 12) + row(".a", "", 12)) == "true")
  }

  @Test func search() {
    var random = SplitMix(state: 7)
    for _ in 0..<20_000 {
      let letters = ["a", "b", "ab", "aab", "é"]
      let text = (0..<random.below(12)).map { _ in random.pick(letters) }.joined()
      let part = (0..<random.below(5)).map { _ in random.pick(letters) }.joined()
      let naive = naiveContains(Array(text.utf8), Array(part.utf8))
      #expect(Text.contains(text, part) == naive, "\(text) \(part)")
    }
  }

  private func naiveContains(_ text: [UInt8], _ part: [UInt8]) -> Bool {
    guard part.count <= text.count else { return false }
    return (0...(text.count - part.count)).contains {
      Array(text[$0..<$0 + part.count]) == part
    }
  }

  @Test func searchIsLinear() {
    let text = String(repeating: "a", count: 1_000_000)
    let part = String(repeating: "a", count: 500_000) + "b"
    let clock = ContinuousClock()
    let time = clock.measure { #expect(!Text.contains(text, part)) }
    // Half a million times a million comparisons would take minutes.
    #expect(time < .seconds(20))
  }

  @Test func days() {
    var day = CivilTime.days(year: 1, month: 1, day: 1)
    #expect(day * 86_400 == ConditionTimestamp.lowest)
    for year in Int64(1)...9_999 {
      for month in Int64(1)...12 {
        let moment = Sample.moment(day * 86_400 + 3_661)
        let civil = CivilTime(moment, offset: 0)
        guard civil.year == year, civil.month == month, civil.day == 1, civil.hour == 1,
          civil.minute == 1, civil.second == 1
        else {
          Issue.record("\(year)-\(month): \(civil)")
          return
        }
        day += CivilTime.daysInMonth(year: year, month: month)
      }
    }
    #expect(day * 86_400 - 1 == ConditionTimestamp.highest)
  }
}
