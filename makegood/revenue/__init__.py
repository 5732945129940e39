"""What came in, by Stripe's own books: figures of a range, what they mean, and the rates between currencies."""

from makegood.revenue.figures import Figures, Line
from makegood.revenue.period import CurrencyPeriod, DayFigures, Revenue, by_day, period
from makegood.revenue.reading import unread

__all__ = ["CurrencyPeriod", "DayFigures", "Figures", "Line", "Revenue", "by_day", "period", "unread"]
