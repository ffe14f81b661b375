using System.Text;
using Sendoff.Ui;

namespace Sendoff.Tests.Server;

public sealed class BodyShapeTests
{
    static readonly byte[] png = [0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10, 0, 1];
    static readonly string picture = Convert.ToBase64String(png);

    [Theory]
    [InlineData("", "utf8", null, false, BodyKind.None)]
    [InlineData("{\"a\":1}", "utf8", "text/plain", false, BodyKind.Json)]
    [InlineData("{\"a\":", "utf8", "application/json", true, BodyKind.Text)]
    [InlineData("{ no json", "utf8", "application/json", false, BodyKind.Text)]
    [InlineData("a=1&b=c+d", "utf8", "application/x-www-form-urlencoded; charset=utf-8", false, BodyKind.Form)]
    [InlineData("a=1&b=c+d", "utf8", "text/plain", false, BodyKind.Text)]
    [InlineData("<script>alert(1)</script>", "utf8", "text/html", false, BodyKind.Text)]
    [InlineData("PNG", "base64", "image/png", false, BodyKind.Image)]
    [InlineData("PNG", "base64", "Image/PNG; x=y", false, BodyKind.Image)]
    [InlineData("PNG", "base64", "image/png", true, BodyKind.Hex)]
    [InlineData("PNG", "base64", "image/jpeg", false, BodyKind.Hex)]
    [InlineData("PNG", "base64", null, false, BodyKind.Hex)]
    [InlineData("PHN2Zz4=", "base64", "image/svg+xml", false, BodyKind.Hex)]
    [InlineData("not base64!", "base64", "image/png", false, BodyKind.Hex)]
    public void A_body_is_looked_at_as_what_it_is(string body, string encoding, string? type, bool truncated, BodyKind expected) =>
        Assert.Equal(expected, BodyShape.KindOf(body == "PNG" ? picture : body, encoding, type, truncated));

    [Fact]
    public void Bytes_are_shown_in_lines_of_sixteen()
    {
        string[] lines = BodyShape.Hex([.. Enumerable.Range(0x3c, 18).Select(i => (byte)i)]).TrimEnd('\n').Split('\n');
        Assert.Equal("000000  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK", lines[0]);
        Assert.Equal("000010  4c 4d                                             LM", lines[1]);
        Assert.Equal(".", BodyShape.Hex([0])[^2..^1]);
        byte[] many = new byte[5_000];
        Assert.Equal((256, 904), (BodyShape.Hex(many).Split('\n').Length - 1, BodyShape.HexLeftOut(many)));
    }

    [Fact]
    public void Fields_of_a_form_are_decoded_and_nothing_malformed_throws()
    {
        Assert.Equal([("a b", "c&d"), ("e", ""), ("f", "1=2")], BodyShape.FieldsOf("a+b=c%26d&e&&f=1=2"));
        Assert.Equal([("%", "%zz")], BodyShape.FieldsOf("%=%zz"));
        Assert.Equal("x?"u8.ToArray(), BodyShape.BytesOf("x?"));
        Assert.Equal(Encoding.UTF8.GetBytes("ab"), BodyShape.BytesOf("YWI="));
    }
}
