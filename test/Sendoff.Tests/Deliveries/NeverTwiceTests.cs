using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>C2, at the receiver: wherever a connection ends, fresh or kept, nothing is sent again.</summary>
public sealed class NeverTwiceTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    /// <summary>How far a receiver goes before it ends the connection.</summary>
    public enum Point
    {
        Nothing,
        FirstBytes,
        Head,
        Request,
        StatusLine,
        Headers,
        ResponseHead,
        Body,
        Chunk,
        Response,
    }

    public static TheoryData<Point, bool, bool> Cases()
    {
        var cases = new TheoryData<Point, bool, bool>();
        foreach (var point in Enum.GetValues<Point>())
        foreach (bool resets in (bool[])[false, true])
        foreach (bool kept in (bool[])[false, true])
            // A kept connection that ends before the next request comes is no question of sending twice: the next takes a fresh one.
            if (!(point == Point.Nothing && kept))
                cases.Add(point, resets, kept);
        return cases;
    }

    static async Task GoAsync(ReceiverConnection connection, Point point)
    {
        switch (point)
        {
            case Point.Nothing:
                return;
            case Point.FirstBytes:
                await connection.ReadSomeAsync();
                return;
            case Point.Head:
                await connection.ReadHeadAsync();
                return;
        }
        await connection.ReadRequestAsync();
        await connection.WriteAsync(
            point switch
            {
                Point.StatusLine => "HTTP/1.1 2",
                Point.Headers => "HTTP/1.1 200 OK\r\ncontent-le",
                Point.ResponseHead => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
                Point.Body => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
                Point.Chunk => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
                Point.Response => Ok,
                _ => "",
            }
        );
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Wherever_a_connection_ends_the_request_is_on_the_wire_once(Point point, bool resets, bool kept)
    {
        // Methods that a client may repeat by the letter of RFC 9110, and bodies that fit in one write or do not.
        foreach (var (method, bytes) in ((string, int)[])[("GET", 0), ("POST", 100), ("PUT", 1_000_000), ("DELETE", 0)])
        {
            int connections = 0;
            await using var receiver = Receiver.Start(async connection =>
            {
                if (Interlocked.Increment(ref connections) > 1)
                {
                    await connection.AnswerAllAsync(Ok);
                    return;
                }
                if (kept)
                {
                    await connection.ReadRequestAsync();
                    await connection.WriteAsync(Ok);
                }
                await GoAsync(connection, point);
                if (resets)
                    connection.Reset();
            });
            using var sending = new Sending();
            if (kept)
                await sending.GetAsync(receiver.Url + "first");
            var attempt = await sending.SendAsync(new HttpSend(method, receiver.Url + "second", [], new byte[bytes]));
            int taken = receiver.Connections;
            await sending.GetAsync(receiver.Url + "third");

            Assert.Equal((1, kept), (taken, attempt.ConnectionReused));
            Assert.InRange(receiver.Requests.Count(request => request.Contains("/second ")), 0, 1);
            // After a whole response the connection is kept, and may end under the third.
            if (point == Point.Response)
                continue;
            Assert.Contains(receiver.Requests, request => request.Contains("/third "));
            Assert.Equal(DeliveryStatus.Failed, attempt.Status);
            // A reset can even be there before the connection is.
            Assert.Contains(
                attempt.Error!.Code,
                new[] { AttemptErrorCode.ConnectionClosed, AttemptErrorCode.ConnectionReset, AttemptErrorCode.ConnectFailed }
            );
        }
    }
}
