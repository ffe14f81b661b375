using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed partial class ObjectTests
{
    static S3Options To(ObjectStore store) => new(store.Address, ObjectStore.Region, ObjectStore.AccessKey, ObjectStore.SecretKey);

    static async Task<Attempt> SendAsync(S3Options options, Delivery delivery, EgressOptions? egress = null)
    {
        using var sending = new Sending(egress: egress);
        using var sender = new S3Sender(sending.Sender, options, TimeProvider.System);
        return await sender.SendAsync(delivery, 1, 0.5, default);
    }

    static Delivery Put(string prefix, string payload)
    {
        var delivery = Sending.DeliveryOf(new("SEND", $"s3://bucket/{prefix}", [], Encoding.UTF8.GetBytes(payload)));
        return delivery with { Request = delivery.Request with { Url = S3Object.Named(delivery.Request.Url, delivery.Id) } };
    }

    static string Unpack(byte[] gzip)
    {
        using var reader = new StreamReader(new GZipStream(new MemoryStream(gzip), CompressionMode.Decompress));
        return reader.ReadToEnd();
    }

    [Theory]
    [InlineData("orders", "orders/")]
    [InlineData("", "")]
    [InlineData("a%20b/%C3%A9%2B%3F/", "a b/é+?/")]
    public async Task Object_is_put_signed_under_prefix_and_time_as_one_packed_line(string prefix, string path)
    {
        await using var store = await ObjectStore.StartAsync();
        var delivery = Put(prefix, """{"a":1}""");
        var attempt = await SendAsync(To(store), delivery);

        Assert.Null(attempt.Error);
        Assert.True(attempt.Status == DeliveryStatus.Succeeded, attempt.Text());
        var (name, bytes) = Assert.Single(store.Objects);
        Assert.StartsWith($"/bucket/{path}", name);
        Assert.Matches(ObjectName(), name);
        Assert.EndsWith($"-{delivery.Id}.gz", name);
        Assert.Equal("{\"a\":1}\n", Unpack(bytes));
        Assert.Equal(200, attempt.Response!.Status);
    }

    [GeneratedRegex(@"/\d{4}/\d\d/\d\d/\d\d/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-dlv_\w+\.gz$")]
    private static partial Regex ObjectName();

    [Fact]
    public async Task Resend_writes_the_same_object()
    {
        await using var store = await ObjectStore.StartAsync();
        var delivery = Put("p", "text");
        await SendAsync(To(store), delivery);
        await SendAsync(To(store), delivery);
        Assert.Single(store.Objects);
    }

    [Fact]
    public async Task Neither_signature_nor_key_gets_into_the_record_even_when_the_store_repeats_them()
    {
        await using var store = await ObjectStore.StartAsync();
        var attempt = await SendAsync(To(store) with { Region = "us-east-1" }, Put("p", "text"));
        Assert.Equal((DeliveryStatus.Failed, 403), (attempt.Status, attempt.Response!.Status));
        string signature = Assert.Single(store.Signatures);
        Assert.Contains(signature, attempt.Text());

        var stored = TestSecrets.Concealment().Conceal(attempt);
        Assert.Contains("SignatureDoesNotMatch", stored.Text());
        Assert.DoesNotContain(signature, stored.Text());
        Assert.DoesNotContain(ObjectStore.SecretKey, stored.Text());
        Assert.DoesNotContain(stored.RequestHeaders, h => h.Value.Contains(signature));
    }

    [Fact]
    public async Task Without_keys_an_object_is_blocked_and_says_which_setting_is_missing()
    {
        var attempt = await SendAsync(new(), Put("p", "text"));
        Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.NotConfigured), (attempt.Status, attempt.Error!.Code));
        Assert.Contains("S3:AccessKey", attempt.Error.Message);
    }

    [Fact]
    public async Task Store_is_under_the_egress_rules_as_any_destination()
    {
        await using var store = await ObjectStore.StartAsync();
        var attempt = await SendAsync(To(store), Put("p", "text"), EgressPolicy.Default);
        Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy), (attempt.Status, attempt.Error!.Code));
        Assert.Empty(store.Signatures);
    }
}
