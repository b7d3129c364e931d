"""How much is to come, what it takes, and who does it: demand, forecast, scaler, pools of streams and nodes, cost."""
